// Play, pause, seek: hands the notes of one piece to the piano shortly before they are due.

const AHEAD_SECONDS = 0.3; // So much is handed over before it sounds,
const HIDDEN_AHEAD_SECONDS = 3; // and so much in the background, where timers run once a second.
const PUMP_MILLISECONDS = 80;
const START_SECONDS = 0.06; // From a click to the first tone.

class Transport {
  // The piece `music` is played from `rest`, seconds; `ended` is called when it is over.
  constructor(ended) {
    this.ended = ended;
    this.music = null;
    this.playing = false;
    this.rest = 0;
    this.volume = 0.8;
    this.timer = 0;
    document.addEventListener("visibilitychange", () => this.pump());
  }

  load(music) {
    this.pause();
    this.music = music;
    this.notes = playedNotes(music);
    this.rest = 0;
  }

  // Where the piece is, in seconds.
  get seconds() {
    if (!this.playing) return this.rest;
    const heard = this.context.currentTime - this.origin;
    return Math.min(this.music.seconds, Math.max(this.rest, heard));
  }

  play(from) {
    this.wake();
    if (this.playing) this.piano.silence();
    this.quietSince = undefined;
    this.rest = from;
    this.next = firstFrom(this.notes, from);
    // Strings of the first tones are made before the clock is read: that may take a while.
    const { onset, damped, pitch } = this.notes;
    for (let i = this.next; onset[i] < from + AHEAD_SECONDS; i++) this.piano.string(pitch[i]);
    const begin = Math.max(this.context.currentTime + START_SECONDS, WARM_SECONDS);
    this.origin = begin - from; // The clock at second 0 of the piece.
    this.until = from; // All that begins earlier has been handed over.
    this.playing = true;
    // What was struck before and still sounds is entered midway.
    for (let i = firstFrom(this.notes, from - MOST_SECONDS); i < this.next; i++) {
      if (damped[i] > from) this.strike(i, from - onset[i]);
    }
    clearInterval(this.timer);
    this.timer = setInterval(() => this.pump(), PUMP_MILLISECONDS);
    this.pump();
  }

  pause() {
    if (!this.playing) return;
    this.rest = this.seconds;
    this.playing = false;
    this.piano.silence();
  }

  stop() {
    this.pause();
    this.piano?.silence(); // What rings on after the end.
    this.rest = 0;
  }

  seek(seconds) {
    const to = Math.max(0, Math.min(this.music.seconds, seconds));
    if (this.playing) this.play(to);
    else this.rest = to;
  }

  setVolume(volume) {
    this.volume = volume;
    this.loudness?.gain.setTargetAtTime(volume ** 2, this.context.currentTime, 0.02);
  }

  // Root mean square of what sounds now, full scale being 1.
  level() {
    if (!this.context) return 0;
    this.meter.getFloatTimeDomainData(this.heard);
    return Math.sqrt(this.heard.reduce((sum, x) => sum + x * x, 0) / this.heard.length);
  }

  // Browsers allow sound from the first click on; so the piano is made then.
  wake() {
    if (!this.context) {
      this.context = new AudioContext({ latencyHint: "playback" });
      // Without it a phone's mute switch silences this as if it were a ring tone.
      if (navigator.audioSession) navigator.audioSession.type = "playback";
      this.piano = new Piano(this.context);
      this.loudness = new GainNode(this.context, { gain: this.volume ** 2 });
      this.meter = new AnalyserNode(this.context, { fftSize: 4096 });
      this.heard = new Float32Array(this.meter.fftSize);
      this.piano.output.connect(this.loudness).connect(this.meter);
      this.meter.connect(this.context.destination);
    }
    if (this.context.state !== "running") this.context.resume();
  }

  strike(i, skipped = 0) {
    const { onset, damped, pitch, velocity } = this.notes;
    const at = this.origin + onset[i] + skipped;
    this.piano.strike(pitch[i], velocity[i], at, this.origin + damped[i], skipped);
  }

  pump() {
    if (!this.timer) return;
    const now = this.context.currentTime;
    if (!this.playing) return this.sleepWhenQuiet(now);
    // Where the page was held up for longer than was handed over, the music waits.
    this.origin += Math.max(0, now - this.origin - this.until);
    this.until = now - this.origin + (document.hidden ? HIDDEN_AHEAD_SECONDS : AHEAD_SECONDS);
    while (this.next < this.notes.count && this.notes.onset[this.next] < this.until) {
      this.strike(this.next++);
    }
    if (now - this.origin >= this.music.seconds) {
      this.playing = false; // Its last tones ring on.
      this.rest = 0;
      this.ended();
    }
  }

  // Lets the sound card rest once nothing is heard any more.
  sleepWhenQuiet(now) {
    this.quietSince ??= now;
    if (now < Math.max(this.quietSince, this.piano.quietAt()) + TAIL_SECONDS) return;
    clearInterval(this.timer);
    this.timer = 0;
    this.quietSince = undefined;
    this.context.suspend();
  }
}
