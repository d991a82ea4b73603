// The bar, the buttons of the pieces and the playheads over their piano rolls.
//
// A piece is an <article class="piece" data-piece="INDEX"> with a <button class="play" hidden> and
// any number of <svg class="roll" data-start data-end>, in seconds; <script id="music"> says what
// is played (music.py). window.player is for tests and for the curious.

const JUMP_SECONDS = 5; // By an arrow key.
const AGAIN_SECONDS = 3; // "Previous" after so much of a piece goes to its beginning.
const SAVED_SECONDS = 900; // Longer pieces take too much memory as a WAV file.
const CALM_MILLISECONDS = 500; // Between two pictures, where less motion is asked for.

const PLAY = "M7 4.5v15l12-7.5z";
const PAUSE = "M7 5h3.6v14H7zM13.4 5H17v14h-3.6z";
const button = (name, label, icon) => `
  <button type="button" class="player-${name}" aria-label="${label}" title="${label}">
    <svg viewBox="0 0 24 24" aria-hidden="true"><path d="${icon}"/></svg>
  </button>`;
const BAR = `
<section class="player" aria-label="Player" hidden>
  <div class="player-buttons">
    ${button("previous", "Previous piece", "M5.5 5H8v14H5.5zM19 5v14l-10-7z")}
    ${button("toggle", "Play", PLAY)}
    ${button("stop", "Stop", "M6 6h12v12H6z")}
    ${button("next", "Next piece", "M16 5h2.5v14H16zM5 5v14l10-7z")}
  </div>
  <p class="player-title" aria-live="polite"></p>
  <div class="player-position">
    <span class="player-elapsed">0:00</span>
    <input class="player-seek" type="range" min="0" step="any" value="0" aria-label="Position">
    <span class="player-total">0:00</span>
  </div>
  <label class="player-volume" title="Volume">
    <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 9.5v5h3.5L12 18.5v-13L7.5 9.5z"/>
      <path class="player-waves" d="M15 9a4.2 4.2 0 0 1 0 6M17.6 6.4a7.9 7.9 0 0 1 0 11.2"/></svg>
    <input type="range" min="0" max="100" value="80" aria-label="Volume">
  </label>
  ${button("save", "Save as WAV", "M11 4h2v7.5h3.8L12 16.6l-4.8-5.1H11zM5 18.4h14v2H5z")}
</section>`;

// 75.4 -> "1:15", 3600 -> "1:00:00".
function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`;
}

// The marker over one row of a piano roll.
class Playhead {
  constructor(roll) {
    this.roll = roll;
    this.from = Number(roll.dataset.start);
    this.to = Number(roll.dataset.end);
    this.box = roll.viewBox.baseVal;
    this.line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    this.line.setAttribute("class", "playhead");
    this.line.setAttribute("y1", this.box.y);
    this.line.setAttribute("y2", this.box.y + this.box.height);
    this.line.style.display = "none";
    roll.append(this.line);
  }

  // The piece's time, seconds, at a point of the window.
  secondsAt(x) {
    const { left, width } = this.roll.getBoundingClientRect();
    return this.from + ((this.to - this.from) * (x - left)) / width;
  }

  // Shows where the piece is, if that is in this row.
  show(seconds) {
    const isHere = seconds >= this.from && seconds < this.to;
    this.line.style.display = isHere ? "" : "none";
    if (!isHere) return;
    const x = this.box.x + (this.box.width * (seconds - this.from)) / (this.to - this.from);
    this.line.setAttribute("x1", x);
    this.line.setAttribute("x2", x);
  }
}

class Player {
  constructor(pieces, articles) {
    this.pieces = pieces;
    this.articles = articles; // {index of a piece: its article}
    this.piece = -1;
    this.transport = new Transport(() => this.refresh());
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.playheads = new Map(); // {index of a piece: those over its rows}
    document.body.insertAdjacentHTML("beforeend", BAR);
    this.bar = document.body.lastElementChild;
    this.seekBar = this.find("seek");
    this.isDragged = false; // The seek bar, at this moment.
    for (const [index, article] of articles) this.wirePiece(index, article);
    this.wireBar();
    document.addEventListener("keydown", (event) => this.onKey(event));
  }

  find(name) {
    return this.bar.querySelector(`.player-${name}`);
  }

  wirePiece(index, article) {
    const play = article.querySelector("button.play");
    const isEmpty = this.pieces[index].notes.length === 0;
    play.hidden = false;
    play.disabled = isEmpty;
    if (isEmpty) play.title = "This piece has no notes";
    play.addEventListener("click", () => {
      if (index !== this.piece) this.play(index);
      else this.toggle();
    });
    const rolls = [...article.querySelectorAll("svg.roll")];
    this.playheads.set(index, rolls.map((roll) => new Playhead(roll)));
    if (isEmpty) return;
    for (const playhead of this.playheads.get(index)) {
      playhead.roll.classList.add("playable");
      playhead.roll.addEventListener("click", (event) => {
        const seconds = playhead.secondsAt(event.clientX);
        if (seconds < this.pieces[index].seconds) this.play(index, seconds);
      });
    }
  }

  wireBar() {
    const onClick = (name, action) => this.find(name).addEventListener("click", action);
    onClick("toggle", () => this.toggle());
    onClick("stop", () => this.stop());
    onClick("previous", () => this.previous());
    onClick("next", () => this.step(1));
    onClick("save", () => this.save());
    this.seekBar.addEventListener("input", () => {
      this.isDragged = true;
      this.show();
    });
    this.seekBar.addEventListener("change", () => {
      this.isDragged = false;
      this.seek(Number(this.seekBar.value));
    });
    const volume = this.bar.querySelector(".player-volume input");
    const setVolume = () => {
      fill(volume);
      this.transport.setVolume(volume.value / 100);
    };
    volume.addEventListener("input", setVolume);
    setVolume();
  }

  // Plays a piece from a time on, seconds; the one that is loaded goes on where it was.
  play(index = this.piece, from = index === this.piece ? this.resumed() : 0) {
    const music = this.pieces[index];
    if (!music?.notes.length) return;
    if (index !== this.piece) {
      this.transport.load(music);
      this.playheads.get(this.piece)?.forEach((playhead) => playhead.show(-1));
      this.piece = index;
      this.bar.hidden = false;
      document.documentElement.classList.add("has-player");
      this.find("title").textContent = music.name;
      this.find("title").dataset.number = index + 1;
      this.find("total").textContent = clock(music.seconds);
      this.seekBar.max = music.seconds;
      const isLong = music.seconds > SAVED_SECONDS;
      this.find("save").disabled = isLong;
      this.find("save").title = isLong ? "Too long to be saved as WAV here" : "Save as WAV";
    }
    this.transport.play(Math.max(0, Math.min(music.seconds, from)));
    this.refresh();
    this.animate();
  }

  // Where to go on: at the end of a piece that is its beginning.
  resumed() {
    const { seconds, music } = this.transport;
    return seconds < music?.seconds ? seconds : 0;
  }

  pause() {
    this.transport.pause();
    this.refresh();
  }

  toggle() {
    if (this.transport.playing) this.pause();
    else this.play();
  }

  stop() {
    this.transport.stop();
    this.refresh();
  }

  seek(seconds) {
    if (this.piece < 0) return;
    this.transport.seek(seconds);
    this.refresh();
  }

  previous() {
    if (this.transport.seconds > AGAIN_SECONDS) this.play(this.piece, 0);
    else this.step(-1);
  }

  // Plays the next piece that has notes, or the one before; stays where there is none.
  step(direction) {
    const indices = [...this.articles.keys()];
    let at = indices.indexOf(this.piece) + direction;
    while (at in indices && !this.pieces[indices[at]].notes.length) at += direction;
    if (!(at in indices)) return;
    this.play(indices[at], 0);
    const behavior = this.calm.matches ? "auto" : "smooth";
    this.articles.get(this.piece).scrollIntoView({ behavior, block: "nearest" });
  }

  async save() {
    const { name } = this.pieces[this.piece];
    const save = this.find("save");
    save.disabled = true;
    save.classList.add("busy");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(wave(await render(this.pieces[this.piece])));
    link.download = `${name.replace(/\.midi?$/i, "").replace(/[^\p{L}\p{N} ._-]+/gu, "_")}.wav`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    save.disabled = false;
    save.classList.remove("busy");
  }

  onKey(event) {
    if (this.piece < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const { target, key } = event;
    if (key === "Escape") return this.stop();
    // Other parts of the page keep their keys; arrows still move what they moved before.
    const isOurs = target === document.body || target.closest(".player, button.play");
    const presses = target.closest("button") && key === " ";
    const turns = target.closest(".player-volume") && key.startsWith("Arrow");
    if (!isOurs || presses || turns) return;
    const isOnSeekBar = target === this.seekBar;
    const actions = {
      " ": () => this.toggle(),
      ArrowLeft: () => this.seek(this.transport.seconds - JUMP_SECONDS),
      ArrowRight: () => this.seek(this.transport.seconds + JUMP_SECONDS),
      ...(isOnSeekBar && { ArrowDown: () => actions.ArrowLeft(), ArrowUp: () => actions.ArrowRight() }),
    };
    if (!actions[key]) return;
    event.preventDefault();
    actions[key]();
  }

  // Shows what changes with time, again and again while it plays.
  animate() {
    if (this.isAnimated) return;
    this.isAnimated = true;
    const frame = () => {
      this.show();
      this.isAnimated = this.transport.playing;
      if (!this.isAnimated) return;
      if (this.calm.matches) setTimeout(frame, CALM_MILLISECONDS);
      else requestAnimationFrame(frame);
    };
    frame();
  }

  show() {
    const { seconds } = this.transport;
    if (!this.isDragged) this.seekBar.value = seconds;
    const shown = clock(this.isDragged ? Number(this.seekBar.value) : seconds);
    fill(this.seekBar);
    if (this.find("elapsed").textContent !== shown) {
      this.find("elapsed").textContent = shown;
      const total = this.find("total").textContent;
      this.seekBar.setAttribute("aria-valuetext", `${shown} of ${total}`);
    }
    for (const playhead of this.playheads.get(this.piece) ?? []) playhead.show(seconds);
  }

  // Shows what is played and whether.
  refresh() {
    const { playing } = this.transport;
    const word = playing ? "Pause" : "Play";
    const toggle = this.find("toggle");
    toggle.querySelector("path").setAttribute("d", playing ? PAUSE : PLAY);
    toggle.setAttribute("aria-label", word);
    toggle.title = word;
    for (const [index, article] of this.articles) {
      const isThis = index === this.piece;
      article.classList.toggle("is-loaded", isThis);
      const play = article.querySelector("button.play");
      play.textContent = isThis ? word : "Play";
      play.setAttribute("aria-label", `${play.textContent} ${this.pieces[index].name}`);
    }
    this.show();
  }
}

// Paints a slider up to its value.
function fill(slider) {
  const share = (slider.value - slider.min) / (slider.max - slider.min || 1);
  slider.style.setProperty("--filled", `${100 * share}%`);
}

function start() {
  const text = document.getElementById("music")?.textContent;
  const articles = [...document.querySelectorAll("article.piece")];
  if (!text || !articles.length) return;
  if (!window.AudioContext || !window.OfflineAudioContext) {
    const words = "The pieces can be seen here but not heard: this browser has no Web Audio.";
    articles[0].insertAdjacentHTML("beforebegin", `<p class="no-player">${words}</p>`);
    return;
  }
  const { pieces } = JSON.parse(text);
  const player = new Player(
    pieces,
    new Map(articles.map((article) => [Number(article.dataset.piece), article])),
  );
  const { transport } = player;
  window.player = {
    get piece() { return player.piece; },
    get seconds() { return transport.seconds; },
    get playing() { return transport.playing; },
    get voices() { return transport.piano?.voices.size ?? 0; },
    play: (index, from) => player.play(index, from),
    pause: () => player.pause(),
    stop: () => player.stop(),
    seek: (seconds) => player.seek(seconds),
    level: () => transport.level(),
    render: (piece, sampleRate) =>
      render(typeof piece === "number" ? pieces[piece] : piece, sampleRate),
    wave,
  };
}

start();
