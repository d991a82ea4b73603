// The notes of a piece as its piano plays them.

// Gives {onset, damped: seconds; pitch, velocity} of a piece, an array each, in order of onset.
// A note is damped where it ends, or where the pedal that then is down goes up, or where its
// string is struck again; then the key counts as held until the last of the ends.
function playedNotes({ notes, pedal }) {
  const count = notes.length / 4;
  const [onset, damped] = [new Float64Array(count), new Float64Array(count)];
  const [pitch, velocity] = [new Uint8Array(count), new Uint8Array(count)];
  const struck = new Map(); // {pitch: the last note on it}
  const keyUp = new Map(); // {pitch: when its key goes up}
  const lifted = pedalLifts(pedal);
  let milliseconds = 0;
  for (let i = 0; i < count; i++) {
    milliseconds += notes[4 * i];
    onset[i] = milliseconds / 1000;
    [pitch[i], velocity[i]] = [notes[4 * i + 2], notes[4 * i + 3]];
    const end = (milliseconds + notes[4 * i + 1]) / 1000;
    const earlier = struck.get(pitch[i]);
    if (earlier !== undefined) damped[earlier] = Math.min(damped[earlier], onset[i]);
    keyUp.set(pitch[i], Math.max(end, keyUp.get(pitch[i]) ?? 0));
    damped[i] = lifted(keyUp.get(pitch[i]));
    struck.set(pitch[i], i);
  }
  return { count, onset, damped, pitch, velocity };
}

// Gives a function: the first time from `seconds` on at which the sustain pedal is up.
function pedalLifts(pedal) {
  const [downs, ups] = [[], []];
  for (let i = 0; i < pedal.length; i += 2) {
    const isDown = pedal[i + 1] >= 64;
    if (isDown && downs.length === ups.length) downs.push(pedal[i] / 1000);
    if (!isDown && downs.length > ups.length) ups.push(pedal[i] / 1000);
  }
  if (downs.length > ups.length) ups.push(Infinity);
  return (seconds) => {
    let [low, high] = [0, downs.length]; // Before `low` the pedal went down no later.
    while (low < high) {
      const middle = (low + high) >> 1;
      if (downs[middle] <= seconds) low = middle + 1;
      else high = middle;
    }
    return low && ups[low - 1] > seconds ? ups[low - 1] : seconds;
  };
}

// The first note that does not begin before `seconds`.
function firstFrom(part, seconds) {
  const found = part.onset.findIndex((onset) => onset >= seconds);
  return found < 0 ? part.count : found;
}
