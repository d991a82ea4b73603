// A piece as one sound, and as a WAV file.

const TAIL_SECONDS = 2; // The hall, after the last voice.

// Gives the sound of a piece as an AudioBuffer, by the piano that plays in the page. The piece
// begins after WARM_SECONDS.
async function render(piece, sampleRate = 44100) {
  const part = playedNotes(piece);
  const seconds = WARM_SECONDS + piece.seconds + TAIL_SECONDS;
  const offline = new OfflineAudioContext(2, Math.ceil(seconds * sampleRate), sampleRate);
  const piano = new Piano(offline);
  piano.output.connect(offline.destination);
  let next = 0;
  const strikeUntil = (until) => {
    const { count, onset, damped, pitch, velocity } = part;
    for (; next < count && onset[next] < until; next++) {
      const [at, end] = [WARM_SECONDS + onset[next], WARM_SECONDS + damped[next]];
      piano.strike(pitch[next], velocity[next], at, end);
    }
  };
  const chunk = 2; // Seconds: a long piece is not made of all its nodes at once.
  strikeUntil(2 * chunk);
  for (let at = chunk; at < seconds; at += chunk) {
    offline.suspend(at).then(() => {
      strikeUntil(at + 2 * chunk);
      offline.resume();
    });
  }
  return offline.startRendering();
}

// Gives a WAV file, 16 bits a sample, of an AudioBuffer.
function wave(sound) {
  const channels = Array.from({ length: sound.numberOfChannels }, (_, i) => sound.getChannelData(i));
  const frame = 2 * channels.length;
  const data = new DataView(new ArrayBuffer(44 + frame * sound.length));
  const text = (at, letters) => [...letters].forEach((l, i) => data.setUint8(at + i, l.charCodeAt()));
  text(0, "RIFF");
  data.setUint32(4, data.byteLength - 8, true);
  text(8, "WAVEfmt ");
  data.setUint32(16, 16, true);
  data.setUint16(20, 1, true); // Plain samples.
  data.setUint16(22, channels.length, true);
  data.setUint32(24, sound.sampleRate, true);
  data.setUint32(28, frame * sound.sampleRate, true);
  data.setUint16(32, frame, true);
  data.setUint16(34, 16, true);
  text(36, "data");
  data.setUint32(40, frame * sound.length, true);
  channels.forEach((samples, channel) => {
    for (let i = 0; i < samples.length; i++) {
      data.setInt16(44 + frame * i + 2 * channel, Math.round(32767 * samples[i]), true);
    }
  });
  return new Blob([data], { type: "audio/wav" });
}
