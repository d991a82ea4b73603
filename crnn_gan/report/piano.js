// A piano made of strings that are worked out when they are first struck. No recording is in it.
//
// A string is a sum of stiff partials (Fletcher, Blackham and Stratton 1962), each of which dies
// away twice: fast at first, slowly later and a little out of tune (Weinreich 1977). High partials
// and high strings die sooner. Velocity is loudness and, by a low pass, brightness.

const LOWEST_PITCH = 21; // A0 of a piano. MIDI has lower ones, which sound too.
const SHARED_BELOW = 72; // Three neighbours share a string below, where stretching is not heard.
const MOST_SECONDS = 6; // Of a string; then it is silent, also under the pedal.
const MOST_VOICES = 64; // Sounding at once; the one that is nearest to its end makes room.
const STRUCK_AT = Math.PI / 8; // An eighth of the string, whose eighth partial therefore is weak.
const CHORUS = 1.0004; // The slow part of a partial beats against the fast one.
const ATTACK_SECONDS = 0.0025;
const FORTISSIMO = 0.22; // Root mean square of A4's first .3 s at velocity 127, before the mix.
const WARM_SECONDS = 0.2; // After so much of silence the compressor lets everything through.
const LIMIT = 0.97; // No sample is above it, whatever is played.

const hertzOf = (pitch) => 440 * 2 ** ((pitch - 69) / 12);

// Gives the same numbers -1..1 for the same seed: every page sounds alike.
function noiseFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

// Adds amplitude * sin(2 pi hertz t + phase), falling by `decibels` a second, to `sound`.
function addSine(sound, rate, amplitude, hertz, phase, decibels) {
  const radius = 10 ** (-decibels / 20 / rate);
  const turn = (2 * Math.PI * hertz) / rate;
  const near = 2 * radius * Math.cos(turn);
  const far = -radius * radius;
  // Below -90 dB nothing of it is heard.
  const heard = (20 * Math.log10(amplitude) + 90) / decibels;
  const samples = Math.min(sound.length, Math.ceil(heard * rate));
  let last = (amplitude / radius) * Math.sin(phase - turn);
  let before = (amplitude / radius ** 2) * Math.sin(phase - 2 * turn);
  for (let i = 0; i < samples; i++) {
    const now = near * last + far * before;
    sound[i] += now;
    before = last;
    last = now;
  }
}

// Gives the samples of a string that is struck as hard as can be and never damped.
function stringSound(pitch, rate) {
  const noise = noiseFrom(pitch);
  const hertz = hertzOf(pitch);
  const stiffness = 1e-4 * 2 ** ((pitch - 48) / 9);
  const falling = 5 * 2 ** ((pitch - 33) / 24); // dB a second of the first partial, at first.
  const slope = 0.7 * 2 ** ((pitch - 36) / 22); // dB from one partial to the next.
  const sound = new Float32Array(Math.ceil(Math.min(MOST_SECONDS, 90 / falling) * rate));
  for (let n = 1; n <= 40 && slope * (n - 1) < 70; n++) {
    const stretched = n * hertz * Math.sqrt((1 + stiffness * n * n) / (1 + stiffness));
    if (stretched > Math.min(0.45 * rate, 16000)) break;
    const struck = 0.2 + 0.8 * Math.abs(Math.sin(n * STRUCK_AT) / (n * Math.sin(STRUCK_AT)));
    const radiated = 1 / Math.hypot(1, 90 / stretched); // The board is small for low tones.
    const amplitude = struck * radiated * 10 ** ((-slope * (n - 1)) / 20);
    const decibels = falling * (1 + 0.15 * (n - 1));
    const phase = Math.PI * noise();
    addSine(sound, rate, 0.8 * amplitude, stretched, phase, decibels);
    addSine(sound, rate, 0.2 * amplitude, stretched * CHORUS, phase, decibels / 4);
  }
  // The hammer: the board's own tones, and felt on string.
  for (const board of [87, 131, 204, 311]) addSine(sound, rate, 0.05, board, 0, 300);
  let felt = 0;
  for (let i = 0; i < 0.05 * rate; i++) {
    felt += 0.35 * (noise() - felt);
    sound[i] += 0.12 * felt * Math.exp(-i / (0.008 * rate));
  }
  return shaped(sound, pitch, rate);
}

// Gives the sound with a root mean square near 1 at first, as its pitch needs, with a soft beginning and end.
function shaped(sound, pitch, rate) {
  let energy = 0;
  const counted = Math.ceil(0.3 * rate);
  for (let i = 0; i < counted; i++) energy += sound[i] * sound[i];
  // The ear is deafer to low tones: 3 dB more at the bottom, 2 less at the top.
  const gain = (10 ** ((69 - pitch) / 330)) / Math.sqrt(energy / counted);
  const attack = ATTACK_SECONDS * rate;
  const ending = 0.3 * sound.length;
  for (let i = 0; i < sound.length; i++) {
    const opened = Math.min(1, i / attack);
    const closed = Math.min(1, (sound.length - i) / ending);
    sound[i] *= gain * opened * closed * closed;
  }
  return sound;
}

// Gives the answer of a small hall to a clap: noise that dies away, highs first.
function hall(context) {
  const rate = context.sampleRate;
  const answer = context.createBuffer(2, Math.ceil(1.6 * rate), rate);
  for (let side = 0; side < 2; side++) {
    const samples = answer.getChannelData(side);
    const noise = noiseFrom(1 + side);
    let soft = 0;
    for (let i = 0; i < samples.length; i++) {
      const seconds = i / rate;
      const openness = 0.15 + 0.55 * Math.exp(-6 * seconds);
      soft += openness * (noise() - soft);
      samples[i] = soft * Math.min(1, seconds / 0.012) * Math.exp(-4.3 * seconds);
    }
  }
  return answer;
}

// Straight up to .6, then bending towards LIMIT: its inputs are quarters of the sound.
function limiterCurve() {
  const straight = 0.6;
  const room = LIMIT - straight;
  return Float32Array.from({ length: 8193 }, (_, i) => {
    const wanted = 4 * (i / 4096 - 1);
    const over = Math.abs(wanted) - straight;
    return over <= 0 ? wanted : Math.sign(wanted) * (straight + room * Math.tanh(over / room));
  });
}

class Piano {
  // A piano in an AudioContext or OfflineAudioContext; connect its `output`.
  constructor(context) {
    this.context = context;
    this.strings = new Map(); // {pitch: AudioBuffer}
    this.places = new Map(); // {octave: StereoPannerNode}
    this.voices = new Set(); // Those that sound or will; a handful, however long the piece.
    this.board = new GainNode(context);
    const room = new ConvolverNode(context, { buffer: hall(context) });
    const wet = new GainNode(context, { gain: 0.3 });
    // What is loud is pressed together; the limiter then holds what was too quick for that.
    const compressor = new DynamicsCompressorNode(context, {
      threshold: -16, knee: 14, ratio: 5, attack: 0.004, release: 0.2,
    });
    const quarter = new GainNode(context, { gain: 0.25 });
    this.output = new WaveShaperNode(context, { curve: limiterCurve() });
    this.board.connect(room).connect(wet).connect(compressor);
    this.board.connect(compressor).connect(quarter).connect(this.output);
  }

  // Gives the buffer of a pitch and how fast to play it.
  string(pitch) {
    const isShared = pitch >= LOWEST_PITCH && pitch < SHARED_BELOW;
    const root = isShared ? pitch - ((pitch - LOWEST_PITCH) % 3) + 1 : pitch;
    if (!this.strings.has(root)) {
      const sound = stringSound(root, this.context.sampleRate);
      const buffer = this.context.createBuffer(1, sound.length, this.context.sampleRate);
      buffer.copyToChannel(sound, 0);
      this.strings.set(root, buffer);
    }
    return { buffer: this.strings.get(root), playbackRate: 2 ** ((pitch - root) / 12) };
  }

  // Where an octave sounds, as its player hears it: low tones left, high ones right.
  place(pitch) {
    const octave = Math.floor(pitch / 12);
    if (!this.places.has(octave)) {
      const pan = Math.max(-0.45, Math.min(0.45, 0.13 * (octave - 5)));
      const panner = new StereoPannerNode(this.context, { pan });
      panner.connect(this.board);
      this.places.set(octave, panner);
    }
    return this.places.get(octave);
  }

  // Strikes a string. Calls come in the order of `at`.
  //   velocity: 1..127. at, damped: seconds of the context's clock.
  //   skipped: seconds of the sound that are over already, when a piece is entered midway.
  strike(pitch, velocity, at, damped, skipped = 0) {
    const { buffer, playbackRate } = this.string(pitch);
    const left = buffer.duration / playbackRate - skipped;
    if (left <= 0) return;
    const over = Math.min(damped, at + left); // By itself, where the pedal stays down.
    this.makeRoom(at);
    const force = velocity / 127;
    const release = 0.05 * 2 ** ((60 - pitch) / 40); // Seconds to 1/e: dampers of thick strings.
    const source = new AudioBufferSourceNode(this.context, { buffer, playbackRate });
    const filter = new BiquadFilterNode(this.context, {
      type: "lowpass",
      Q: -3, // dB: flat up to the corner.
      frequency: Math.min(0.45 * this.context.sampleRate, hertzOf(pitch) + 200 * 2 ** (6 * force)),
    });
    const loudness = FORTISSIMO * force ** 1.7;
    const gain = new GainNode(this.context, { gain: skipped ? 0 : loudness });
    if (skipped) gain.gain.setTargetAtTime(loudness, at, 0.02);
    gain.gain.setTargetAtTime(0, over, release);
    source.connect(filter).connect(gain).connect(this.place(pitch));
    source.start(at, skipped * playbackRate);
    const end = Math.min(over + 7 * release, at + left);
    source.stop(end);
    const voice = { source, gain, damped: over, end };
    this.voices.add(voice);
    source.onended = () => {
      gain.disconnect();
      this.voices.delete(voice);
    };
  }

  // Ends the voice that is nearest to its end, if too many sound at the time `at`.
  makeRoom(at) {
    const sounding = [...this.voices].filter((voice) => voice.end > at);
    if (sounding.length < MOST_VOICES) return;
    fade(sounding.reduce((one, other) => (other.damped < one.damped ? other : one)), at, 0.015);
  }

  // Gives when the last voice is over, seconds of the context's clock; 0 where there is none.
  quietAt() {
    return Math.max(0, ...[...this.voices].map((voice) => voice.end));
  }

  // Ends all that sounds or will.
  silence() {
    for (const voice of this.voices) fade(voice, this.context.currentTime, 0.025);
    this.voices.clear();
  }
}

function fade(voice, at, seconds) {
  voice.gain.gain.cancelScheduledValues(at);
  voice.gain.gain.setTargetAtTime(0, at, seconds);
  voice.end = at + 6 * seconds;
  voice.source.stop(voice.end);
}
