// The page's part of widgets.live: the camera, small frames to the kernel, its answers painted over the picture.

const LONGER = 640; // pixels of a frame's longer side, at most
const QUALITY = 0.85; // of its JPEG
const PATIENCE = 10_000; // milliseconds without an answer, after which another frame is tried
const PAUSE = { dropped: 100, failed: 500 }; // milliseconds before the next frame
const WINDOW = 2000; // milliseconds over which rate and delay are taken
const BOX = "#ffb000";

const TELLS = {
  insecure:
    "A browser gives its camera only to a page from this machine (localhost) or by https. Open the page so; of a " +
    "JupyterLab elsewhere, an SSH tunnel makes one of this machine: ssh -L 8888:localhost:8888 THE-OTHER-MACHINE",
  NotAllowedError:
    "The camera was refused. Allow it for this page (the sign beside the address), and start it again. If you were " +
    "not asked, the system's privacy settings or the page around this one keep the camera from it.",
  NotFoundError: "No camera was found. Connect one, and start it again.",
  NotReadableError:
    "The camera gives no picture. Another program may be using it: close that, and start it again.",
  ended: "The camera stopped: it was unplugged, or taken back. Start it again when it is there.",
  elsewhere: "The camera was started in another page, so it stopped here.",
  silent:
    "No answer for 10 seconds. The kernel may be busy; then this goes on by itself. If it was restarted, run the cell again.",
};

const PLACE = `
  <div class="picture">
    <div class="stage">
      <video muted playsinline></video><canvas role="img" aria-label="boxes around faces, and maps over them"></canvas>
      <div class="begin">
        <button type="button" class="start">Start the camera</button>
        <div>Small pictures go to the Python that runs this, and nowhere else. None is kept.</div>
      </div>
    </div>
    <div class="told" role="alert"></div>
    <div class="caption"></div>
    <div class="below"></div>
  </div>
  <div class="answers"></div>`;

/** Why there is no camera, in words. */
function reason(error) {
  const alike = { SecurityError: "NotAllowedError", OverconstrainedError: "NotFoundError", AbortError: "NotReadableError" };
  const known = TELLS[alike[error.name] ?? error.name];
  return known ?? `The camera could not be started: ${error.name}: ${error.message}`;
}

/** A map as a picture of its cells: what is laid over, as colours and opacity. */
function painted(kind, cells, [rows, columns], { ratio, colours, speaks }) {
  const picture = new ImageData(columns, rows);
  cells.forEach((value, i) => {
    let colour = [0, 0, 0], opacity = ratio * (1 - value / 255); // darkened as the network sees it
    if (kind === "saliency") {
      colour = colours.subarray(3 * value, 3 * value + 3);
      opacity = 0.15 + (0.6 * value) / 255;
    } else if (kind === "evidence") {
      colour = speaks[value > 0 ? 0 : 1];
      opacity = (0.85 * Math.abs(value)) / 127;
    }
    picture.data.set([...colour, Math.round(255 * opacity)], 4 * i);
  });
  return picture;
}

/** "#ff8f00" as its three numbers. */
const rgb = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));

/** Paints answers over the picture, which is shown as in a mirror. */
class Painter {
  constructor(canvas, { colours, speaks }) {
    this.canvas = canvas;
    this.small = document.createElement("canvas");
    this.scheme = { colours, speaks: speaks.map(rgb) };
  }

  paint(answer, buffers) {
    const { canvas } = this;
    const sharp = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth * sharp, canvas.clientHeight * sharp].map(Math.round);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    const scale = width / answer.size[0];
    const onPage = ([left, top, wide, high]) => [width - scale * (left + wide), scale * top, scale * wide, scale * high];
    answer.faces.forEach((face, i) => {
      if (answer.overlay !== "nothing") this.lay(context, answer, buffers[0], i, onPage([...face.square, face.square[2]]));
    });
    for (const face of answer.faces) this.box(context, onPage(face.box), face.words, sharp);
  }

  lay(context, answer, buffer, i, [left, top, wide, high]) {
    const [rows, columns] = answer.cells;
    const Cells = answer.overlay === "evidence" ? Int8Array : Uint8Array;
    const cells = new Cells(buffer.buffer, buffer.byteOffset + i * rows * columns, rows * columns);
    Object.assign(this.small, { width: columns, height: rows });
    const scheme = { ratio: answer.ratio, ...this.scheme };
    this.small.getContext("2d").putImageData(painted(answer.overlay, cells, answer.cells, scheme), 0, 0);
    context.save();
    context.translate(left + wide, top);
    context.scale(-1, 1);
    context.drawImage(this.small, 0, 0, wide, high);
    context.restore();
  }

  box(context, [left, top, wide, high], words, sharp) {
    context.lineWidth = 2 * sharp;
    context.strokeStyle = BOX;
    context.strokeRect(left, top, wide, high);
    context.font = `${13 * sharp}px system-ui, sans-serif`;
    const pad = 4 * sharp, line = 19 * sharp;
    const length = context.measureText(words).width + 2 * pad;
    const x = Math.max(0, Math.min(left - sharp, this.canvas.width - length));
    const y = top >= line ? top - line : Math.min(top + high, this.canvas.height - line);
    context.fillStyle = BOX;
    context.fillRect(x, y, length, line);
    context.fillStyle = "#000";
    context.fillText(words, x + pad, y + 14 * sharp);
  }

  clear() {
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
  }
}

/** How many answers there are a second, and how far they lag behind the camera, over the last two seconds. */
class Pace {
  constructor() {
    this.answers = [];
  }

  note(delay, now) {
    this.answers = this.answers.filter((one) => now - one.now < WINDOW);
    this.answers.push({ delay, now });
    const [first] = this.answers;
    const rate = now > first.now ? (1000 * (this.answers.length - 1)) / (now - first.now) : 0;
    const delays = this.answers.map((one) => one.delay).sort((a, b) => a - b);
    return { rate, delay: delays[Math.floor(delays.length / 2)] };
  }
}

function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "safbage-live";
  root.innerHTML = PLACE;
  el.appendChild(root);
  const find = (name) => root.querySelector(name);
  const [video, stage, told, caption, below, answers] = ["video", ".stage", ".told", ".caption", ".below", ".answers"].map(find);
  const colours = model.get("colours");
  const painter = new Painter(find("canvas"), {
    colours: new Uint8Array(colours.buffer, colours.byteOffset, colours.byteLength),
    speaks: model.get("speaks"),
  });
  const shot = document.createElement("canvas");
  const stop = document.createElement("button");
  const paceText = document.createElement("span");
  Object.assign(stop, { type: "button", className: "stop", textContent: "Stop the camera" });
  paceText.className = "pace";

  let stream = null, viewer = null, pace = null; // of the camera that runs
  let number = 0, taken = 0, newest = 0; // of the frame that was sent last, and when it and the camera's newest were taken
  let ready = false; // for another frame to be sent: the last one is answered
  let patience = null, pause = null; // timers
  let gone = false;

  async function start() {
    told.textContent = "";
    if (!navigator.mediaDevices?.getUserMedia) return void (told.textContent = TELLS.insecure);
    find(".start").disabled = true;
    try {
      const wanted = { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "user" };
      const opened = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
      if (gone) return opened.getTracks().forEach((track) => track.stop());
      stream = opened;
      stream.getVideoTracks()[0].addEventListener("ended", () => end(TELLS.ended));
      video.srcObject = stream;
      await video.play();
    } catch (error) {
      return end(reason(error));
    } finally {
      find(".start").disabled = false;
    }
    viewer = `${Date.now()}-${Math.random()}`;
    pace = new Pace();
    stage.classList.add("on");
    below.replaceChildren(stop, paceText);
    stop.focus({ preventScroll: true });
    model.send({ kind: "begin", viewer });
    ready = true;
    tick(viewer);
  }

  /** Let the camera go; `why` is told, where somebody has to know. */
  function end(why = "") {
    const focused = root.contains(document.activeElement);
    if (viewer) model.send({ kind: "end", viewer });
    stream?.getTracks().forEach((track) => track.stop());
    stream = viewer = video.srcObject = null;
    ready = false;
    clearTimeout(patience);
    clearTimeout(pause);
    stage.classList.remove("on");
    painter.clear();
    below.replaceChildren();
    caption.replaceChildren();
    answers.replaceChildren();
    told.textContent = why;
    if (focused) find(".start").focus({ preventScroll: true });
  }

  /** Note each frame that the camera gives, and send it where one is awaited. There are none while the page is hidden. */
  function tick(from) {
    const note = (now, about) => {
      if (viewer !== from) return;
      newest = about?.captureTime ?? now;
      if (ready) send();
      tick(from);
    };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(note);
    else requestAnimationFrame(note);
  }

  /** The next frame may be sent: the newest at once, where it was not sent yet. */
  function next() {
    if (!stream) return;
    ready = true;
    if (newest > taken) send();
  }

  function send() {
    const scale = Math.min(1, LONGER / Math.max(video.videoWidth, video.videoHeight));
    const [width, height] = [video.videoWidth, video.videoHeight].map((side) => Math.max(1, Math.round(scale * side)));
    if (shot.width !== width || shot.height !== height) Object.assign(shot, { width, height });
    shot.getContext("2d", { willReadFrequently: true }).drawImage(video, 0, 0, width, height);
    const own = ++number, from = viewer;
    [taken, ready] = [newest, false];
    patience = setTimeout(() => waitedFor(own), PATIENCE);
    const pass = async (blob) => {
      const bytes = await blob?.arrayBuffer();
      if (bytes && viewer === from) model.send({ kind: "frame", viewer, number: own }, null, [bytes]);
    };
    shot.toBlob(pass, "image/jpeg", QUALITY);
  }

  function waitedFor(own) {
    if (!stream || ready || own !== number) return;
    told.textContent = TELLS.silent;
    next();
  }

  function onMessage(content, buffers) {
    if (!stream) return;
    if (content.kind === "begun" && content.viewer !== viewer) return end(TELLS.elsewhere);
    if (content.viewer !== viewer || content.kind === "begun") return;
    if (content.kind === "elsewhere") return end(TELLS.elsewhere);
    if (content.number !== number || ready) return;
    clearTimeout(patience);
    told.textContent = content.kind === "failed" ? `This frame was not answered: ${content.text}` : "";
    if (content.kind === "answer") show(content, buffers);
    if (PAUSE[content.kind]) pause = setTimeout(next, PAUSE[content.kind]);
    else next();
  }

  function show(answer, buffers) {
    painter.paint(answer, buffers);
    answers.classList.toggle("stale", !answer.faces.length);
    const now = performance.now();
    const { rate, delay } = pace.note(now - taken, now);
    Object.assign(root.dataset, { number, rate: rate.toFixed(1), delay: Math.round(delay), faces: answer.faces.length });
    const seen = answer.faces.length ? "" : "no face in view; ";
    paceText.textContent = `${seen}${rate.toFixed(0)} answers a second, ${Math.round(delay)} ms behind the camera`;
    if (!answer.faces.length) return;
    answers.innerHTML = answer.bars.map((bars) => `<div>${bars}</div>`).join("") + '<div class="amiss"></div>';
    const { amiss } = answer.faces[answer.main];
    answers.lastChild.textContent = amiss && `hard to answer: ${amiss}`;
    caption.innerHTML = answer.caption;
  }

  find(".start").addEventListener("click", start);
  stop.addEventListener("click", () => end());
  model.on("msg:custom", onMessage);
  return () => {
    gone = true;
    model.off("msg:custom", onMessage);
    end();
    root.remove();
  };
}

export default { render };
