"""The live widget: what its kernel answers to its page's messages, and what its page does with the camera, in a real browser."""

import functools
import io
import json
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright
from test_browser import needed_chromium

from safbage import images, reweighting
from safbage.errors import ImageError
from safbage.faces import Face
from safbage.pipeline import Explanation
from safbage.show import widgets
from safbage.show.widgets.camera import ANSWER
from safbage.tasks import CLASSES

FRAME = images.encode(np.full((90, 160, 3), 128, "uint8"))


def explained(*, faces=1, chance=0.7, image=(90, 160)):
    """A frame with faces, each further to the right and larger than the one before."""
    found = [Face((10.0 + 50 * i, 20.0, 20.0 + i, 24.0 + i), 0.9, {}) for i in range(faces)]
    years = np.tile([30.0, 25.0, 36.0], (faces, 1))
    count = {task: len(CLASSES[task]) for task in ("gender", "age")}
    return Explanation(
        "the camera",
        0.3,
        "ok" if faces else "no face",
        np.zeros((*image, 3), "uint8"),
        found,
        np.full((faces, 224, 224, 3), 200, "uint8"),
        np.linspace(0, 1, 784, dtype="float32").reshape(1, 28, 28).repeat(faces, axis=0),
        {task: np.eye(n, dtype="float32")[[1] * faces] for task, n in count.items()},
        {
            task: np.float32([[[[40.0, 0.0, *[0.0] * (n - 2)]]]] * faces)
            for task, n in count.items()
        },
        quality=["blurred"] * faces,
        years=years,
        tracks=list(range(faces)),
    )


class Watching:
    """In place of the watcher: what it sees is `seen`; it waits for `go` where that is given."""

    def __init__(self):
        self.seen, self.go, self.frames, self.cleared = explained(), None, [], 0

    def clear(self):
        self.cleared += 1

    def look(self, frame, time_s, *, ratio):
        self.frames.append((frame.shape, ratio))
        if self.go:
            assert self.go.wait(10)
        if isinstance(self.seen, Exception):
            raise self.seen
        return self.seen


def handed(widget, content, *buffers):
    """Hand a message of the page to a widget, as the kernel does."""
    message = {"method": "custom", "content": content}
    widget.camera.comm.handle_msg({"content": {"data": message}, "buffers": list(buffers)})


@pytest.fixture
def page(monkeypatch):
    """A live widget and its page: `send` hands the widget a message, and returns what it answers."""
    model = SimpleNamespace(ratio=0.3, tasks=("gender", "age"))
    widget = widgets.live(model)
    widget.watcher = Watching()
    told, answered = [], threading.Condition()

    def send_back(content, buffers=()):
        with answered:
            told.append((json.loads(json.dumps(content)), list(buffers)))
            answered.notify_all()

    def answer_to(act):
        """The next answer after something was done."""
        before = len(told)
        act()
        with answered:
            assert answered.wait_for(lambda: len(told) > before, 10)
        return told[-1]

    def send(content, *buffers):
        return answer_to(lambda: handed(widget, content, *buffers))

    monkeypatch.setattr(widget.camera, "send", send_back)
    yield SimpleNamespace(widget=widget, send=send, answer_to=answer_to)
    widget.close()


def frame(number=1, viewer="me"):
    return {"kind": "frame", "viewer": viewer, "number": number}


def begin(page, viewer="me"):
    return page.send({"kind": "begin", "viewer": viewer})


def test_a_frame_is_answered_with_boxes_words_and_bars(page):
    assert begin(page)[0] == {"kind": "begun", "viewer": "me", "number": None}
    page.widget.watcher.seen = explained(faces=2)
    content, buffers = page.send(frame(7), memoryview(FRAME))
    assert page.widget.watcher.frames == [((90, 160, 3), 0.3)]
    expected = dict(kind="answer", viewer="me", number=7, size=[160, 90], overlay="nothing", main=1)
    assert {name: content[name] for name in expected} == expected
    first, second = content["faces"]
    assert first["box"] == [10, 20, 20, 24] and first["square"] == [4, 16, 31]
    assert second["words"] == "female, 30 years (25–36)" and second["amiss"] == "blurred"
    assert [bars.count("data-class") for bars in content["bars"]] == [2, 8]
    assert "female</b> (100%)" in content["bars"][0] and "30 years" in content["bars"][1]
    assert content["caption"] == "" and buffers == [b""]


def test_the_map_is_sent_as_a_byte_for_each_cell(page):
    begin(page)
    for overlay, said in (("saliency", "where people would look"), ("reweighted", "at 30%")):
        page.widget.overlay.value = overlay
        content, (cells,) = page.send(frame(), FRAME)
        assert content["cells"] == [28, 28] and said in content["caption"]
        expected = np.round(255 * explained().maps)
        assert np.array_equal(np.frombuffer(cells, "uint8").reshape(1, 28, 28), expected)


def test_what_speaks_for_a_class_is_sent_between_its_ends(page):
    """The first gender has 40 more than the other, so the map of the second is −40 everywhere, which is the scale's end."""
    begin(page)
    page.widget.overlay.value = "evidence"
    assert page.widget.task.layout.display is None
    content, (cells,) = page.send(frame(), FRAME)
    assert "gender female (100%)" in content["caption"] and "−40" in content["caption"]
    assert content["cells"] == [1, 1] and np.frombuffer(cells, "int8").tolist() == [-127]
    page.widget.task.value, page.widget.target.value = "age", 0
    content, (cells,) = page.send(frame(), FRAME)
    assert "age 0-2 (0%)" in content["caption"] and np.frombuffer(cells, "int8").tolist() == [127]
    page.widget.task.value = "gender"  # of another task there may be no such class
    assert page.widget.target.value == ANSWER
    page.widget.overlay.value = "nothing"
    assert page.widget.task.layout.display == "none"


def test_the_dial_moves_the_ratio(page):
    begin(page)
    page.widget.ratio.value = 65
    page.send(frame(), FRAME)
    page.widget.papers.click()
    page.send(frame(), FRAME)
    assert [ratio for _, ratio in page.widget.watcher.frames] == [0.65, reweighting.RATIO]


def test_a_frame_without_a_face_is_answered_too(page):
    begin(page)
    page.widget.watcher.seen = explained(faces=0)
    page.widget.overlay.value = "saliency"
    content, buffers = page.send(frame(), FRAME)
    assert (content["faces"], content["overlay"], content["size"]) == ([], "nothing", [160, 90])
    assert buffers == []


def huge():
    """A picture of 64 million pixels in some 60,000 bytes."""
    return images.encode(np.zeros((8000, 8000, 3), "uint8"), "png")


HOSTILE = {
    "no picture": ([b"this is no picture"], "the frame is not an image"),
    "half a picture": ([FRAME[: len(FRAME) // 2]], "the frame is damaged"),
    "nothing": ([b""], "the frame is empty"),
    "no buffer": ([], "expected one picture with each frame; got 0"),
    "two": ([FRAME, FRAME], "got 2"),
    "a huge picture": ([huge()], "the frame has 64,000,000 pixels; at most 1,048,576"),
    "many bytes": ([bytes(2 * 2**20)], "the frame has 2,097,152 bytes; at most 1,048,576"),
    "a program": ([b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{} loop"], "not an image"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_frame_is_answered_in_words_and_the_next_is_looked_at(page, name):
    buffers, words = HOSTILE[name]
    begin(page)
    content, _ = page.send(frame(3), *buffers)
    assert content["kind"] == "failed" and words in content["text"] and content["number"] == 3
    assert page.send(frame(4), FRAME)[0]["kind"] == "answer"
    assert len(page.widget.watcher.frames) == 1


@pytest.mark.parametrize("mode, size", [("RGB", (1, 1)), ("L", (3, 200)), ("CMYK", (40, 40))])
def test_a_small_or_odd_picture_is_looked_at(page, mode, size):
    begin(page)
    file = io.BytesIO()
    Image.new(mode, size).save(file, "jpeg")
    assert page.send(frame(), file.getvalue())[0]["kind"] == "answer"
    assert page.widget.watcher.frames == [((*size[::-1], 3), 0.3)]


@pytest.mark.parametrize(
    "content", [None, 5, "frame", ["frame"], {}, {"kind": None}, {"kind": {"frame": 1}}], ids=str
)
def test_a_message_of_another_kind_is_answered_in_words(page, content):
    begin(page)
    told, _ = page.send(content, FRAME)
    assert told["kind"] == "failed" and "is not known" in told["text"]
    assert page.send(frame(), FRAME)[0]["kind"] == "answer"


def test_a_frame_that_comes_while_another_is_looked_at_is_dropped_and_nothing_waits(page):
    begin(page)
    page.widget.watcher.go = threading.Event()
    handed(page.widget, frame(1), FRAME)  # it returns at once: the kernel is free
    assert page.send(frame(2), FRAME)[0] == {"kind": "dropped", "viewer": "me", "number": 2}
    assert page.answer_to(page.widget.watcher.go.set)[0]["number"] == 1
    assert page.send(frame(3), FRAME)[0]["number"] == 3
    assert len(page.widget.watcher.frames) == 2


def test_the_page_that_began_last_has_the_camera(page):
    begin(page, "first")
    begin(page, "second")
    assert page.send(frame(viewer="first"), FRAME)[0]["kind"] == "elsewhere"
    assert page.send(frame(viewer="second"), FRAME)[0]["kind"] == "answer"
    assert page.widget.watcher.cleared == 2


def test_no_page_is_answered_that_did_not_begin_or_has_ended(page):
    assert page.send(frame(), FRAME)[0]["kind"] == "elsewhere"
    begin(page)
    handed(page.widget, {"kind": "end", "viewer": "another"})
    assert page.send(frame(), FRAME)[0]["kind"] == "answer"
    handed(page.widget, {"kind": "end", "viewer": "me"})
    assert page.send(frame(), FRAME)[0]["kind"] == "elsewhere"
    begin(page)
    page.send(frame(), FRAME)
    assert page.widget.watcher.cleared == 3  # at each beginning, and at the end: no face is kept


@pytest.mark.parametrize(
    "error, text",
    [(ImageError("this will not do"), "this will not do"), (KeyError("x"), "KeyError: 'x'")],
)
def test_whatever_goes_wrong_is_told_and_the_next_frame_is_looked_at(page, error, text):
    begin(page)
    page.widget.watcher.seen = error
    content, _ = page.send(frame(1), FRAME)
    assert (content["kind"], content["text"], content["number"]) == ("failed", text, 1)
    page.widget.watcher.seen = explained()
    assert page.send(frame(2), FRAME)[0]["kind"] == "answer"


def test_options_out_of_range_are_told_at_once():
    with pytest.raises(ValueError, match="max_faces ≥ 1"):
        widgets.live(SimpleNamespace(ratio=0.3, tasks=("age",)), max_faces=0)


def test_the_widget_answers_as_the_library_does(light, astronaut, monkeypatch):
    widget, told, done = widgets.live(light), [], threading.Event()
    widget.overlay.value = "saliency"

    def send_back(content, buffers=()):
        told.append((content, buffers))
        if content["kind"] != "begun":
            done.set()

    monkeypatch.setattr(widget.camera, "send", send_back)
    handed(widget, {"kind": "begin", "viewer": "me"})
    handed(widget, frame(), images.encode(astronaut))
    assert done.wait(120)
    content, (cells,) = told[-1]
    whole = light.explain(astronaut)
    (face,) = content["faces"]
    assert np.allclose(face["box"], whole.faces[0].box, atol=8) and "female" in face["words"]
    salient = np.frombuffer(cells, "uint8").reshape(28, 28) / 255
    assert np.corrcoef(salient.ravel(), whole.maps[0].ravel())[0, 1] > 0.9
    widget.close()


# --- its page, in a browser, with a kernel that the test plays -------------------------------------------

FOLDER = Path(widgets.__file__).parent
HOST = """<!DOCTYPE html><meta charset="utf-8"><title>live</title><link rel="stylesheet" href="/camera.css"><body>
<script type="module">
  import widget from "/camera.js";
  const handlers = new Set(), traits = {colours: new DataView(new Uint8Array(768).fill(200).buffer), speaks: ["#ff0000", "#0000ff"]};
  window.sent = [];
  window.tracks = [];
  const open = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
  if (open) navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    tracks.push(...stream.getTracks());
    return stream;
  };
  const model = {
    get: (name) => traits[name],
    on: (name, handler) => handlers.add(handler),
    off: (name, handler) => handlers.delete(handler),
    send: (content, callbacks, buffers) => sent.push({...content, bytes: buffers && [...new Uint8Array(buffers[0])]}),
  };
  window.remove = widget.render({model, el: document.body});
  window.reply = (content, bytes = []) => handlers.forEach((one) => one(content, [new DataView(new Uint8Array(bytes).buffer)]));
</script>"""
ARGUMENTS = {
    "camera": ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"],
    "refused": ["--deny-permission-prompts", "--use-fake-device-for-media-stream"],
    "none": [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream=device-count=0",
    ],
}


@pytest.fixture(scope="module")
def browser_with():
    """A function that gives a browser of one of `ARGUMENTS`."""
    with sync_playwright() as playwright:

        @functools.cache
        def browser_with(kind):
            flags = ["--no-sandbox", *ARGUMENTS[kind]]
            return playwright.chromium.launch(executable_path=needed_chromium(), args=flags)

        yield browser_with


@pytest.fixture
def open_page(browser_with):
    """A function that opens the page; in the end nothing was complained about."""
    pages, complaints = [], []

    def open_page(kind="camera", address="http://localhost/", patience=600_000, **options):
        page = browser_with(kind).new_page(**options)
        pages.append(page)
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        script = (FOLDER / "camera.js").read_text(encoding="utf-8")
        assert "PATIENCE = 10_000" in script
        script = script.replace("PATIENCE = 10_000", f"PATIENCE = {patience}")
        files = {
            "/": ("text/html", HOST),
            "/camera.js": ("text/javascript", script),
            "/camera.css": ("text/css", (FOLDER / "camera.css").read_text(encoding="utf-8")),
        }

        def fulfil(route):
            kind, body = files.get("/" + route.request.url.rpartition("/")[2], ("text/plain", ""))
            route.fulfill(content_type=kind, body=body)

        page.route("**/*", fulfil)
        page.goto(address)
        page.get_by_role("button", name="Start the camera").wait_for()
        return page

    yield open_page
    for page in pages:
        page.close()
    assert complaints == []


def sent(page, count, kind="frame"):
    """The messages of a kind that the page has sent, when there are so many."""
    page.wait_for_function(
        "([kind, count]) => sent.filter((one) => one.kind === kind).length >= count",
        arg=[kind, count],
    )
    return [one for one in page.evaluate("sent") if one["kind"] == kind]


REPLY = """([content, bytes, before]) => {
    const last = sent.at(-1);
    reply({viewer: last.viewer, number: last.number - before, ...content}, bytes);
}"""


def answer(page, bytes=(), before=0, **content):
    """Answer the frame that was sent last, or one before it, as the kernel would."""
    told = dict(kind="answer", size=[640, 360], overlay="nothing", faces=[], bars=[], caption="")
    page.evaluate(REPLY, [told | dict(main=0) | content, list(bytes), before])


def started(open_page, **options):
    page = open_page(**options)
    page.get_by_role("button", name="Start the camera").click()
    return page


FACE = dict(box=[100, 80, 200, 200], square=[60, 60, 260], words="30 years", amiss="blurred")


def colour(page, x, y):
    """What is painted at a place of the frame: red, green, blue and opacity."""
    place = """([x, y]) => {
        const canvas = document.querySelector('canvas'), scale = canvas.width / 640;
        return [...canvas.getContext('2d').getImageData(Math.round(scale * x), Math.round(scale * y), 1, 1).data];
    }"""
    return page.evaluate(place, [x, y])


@pytest.mark.browser
def test_the_page_sends_one_small_frame_after_another_and_paints_the_answers(open_page):
    page = started(open_page, viewport={"width": 1000, "height": 800})
    (first,) = sent(page, 1)
    assert images.decode(bytes(first["bytes"])).shape == (360, 640, 3)
    page.wait_for_timeout(300)
    assert len(sent(page, 1)) == 1  # no other before it is answered
    answer(page, faces=[FACE], bars=["<p>the bars</p>"], caption="<i>what it is</i>")
    (_, second) = sent(page, 2)
    assert second["number"] == 2 and second["viewer"] == first["viewer"]
    assert colour(page, 640 - 100, 180)[3] > 100  # the box, as in a mirror
    assert colour(page, 100, 180)[3] == 0 and colour(page, 440, 180)[3] == 0
    assert page.locator(".answers").inner_text() == "the bars\n\nhard to answer: blurred"
    assert page.locator(".caption i").inner_text() == "what it is"
    answer(page, [0, 255] * 4, faces=[FACE], overlay="saliency", cells=[4, 2], ratio=0.5)
    sent(page, 3)
    bright, dark = colour(page, 640 - 290, 250), colour(page, 640 - 70, 250)  # mirrored, too
    assert bright[3] > dark[3] > 0 and abs(bright[0] - 200) < 5
    answer(page, [0, 255], faces=[FACE], overlay="reweighted", cells=[1, 2], ratio=0.5)
    sent(page, 4)
    assert colour(page, 640 - 70, 250) == [0, 0, 0, 128] and colour(page, 640 - 310, 250)[3] == 0
    answer(page, [127, 129], faces=[FACE], overlay="evidence", cells=[1, 2], ratio=0.5)
    sent(page, 5)
    speaks_for, against = colour(page, 640 - 70, 250), colour(page, 640 - 310, 250)
    assert speaks_for[0] > 200 > 50 > speaks_for[2] and against[2] > 200 > 50 > against[0]
    answer(page)
    sent(page, 6)
    assert colour(page, 640 - 100, 180)[3] == 0 and "no face in view" in page.inner_text(".pace")


@pytest.mark.browser
def test_the_page_goes_on_after_a_frame_that_failed_or_was_dropped_and_paints_no_late_answer(
    open_page,
):
    page = started(open_page)
    sent(page, 1)
    answer(page, kind="failed", text="<b>KeyError</b>")
    assert page.inner_text(".told") == "This frame was not answered: <b>KeyError</b>"
    sent(page, 2)
    answer(page, kind="dropped")
    sent(page, 3)
    answer(page, before=1, faces=[FACE])
    assert colour(page, 640 - 100, 180)[3] == 0 and len(sent(page, 3)) == 3


@pytest.mark.browser
def test_the_page_says_that_no_answer_comes_and_goes_on_when_one_does(open_page):
    page = started(open_page, patience=300)
    page.get_by_text("No answer for 10 seconds").wait_for()
    numbers = [one["number"] for one in sent(page, 3)]
    assert numbers[:3] == [1, 2, 3]
    page.evaluate(
        "window.answering = setInterval(() => reply({...sent.at(-1), kind: 'dropped'}), 20)"
    )
    page.wait_for_function("document.querySelector('.told').textContent === ''")


def camera_is_off(page):
    return page.evaluate("tracks.length > 0 && tracks.every((one) => one.readyState === 'ended')")


@pytest.mark.browser
def test_the_camera_is_let_go_when_it_is_stopped_or_elsewhere_or_removed(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # by the keyboard alone
    sent(page, 1)
    assert not camera_is_off(page)
    page.keyboard.press("Enter")
    assert camera_is_off(page) and page.evaluate("document.activeElement.className") == "start"
    sent(page, 1, "end")
    page.keyboard.press("Enter")
    sent(page, 2)
    page.evaluate("reply({kind: 'begun', viewer: 'another'})")
    assert camera_is_off(page) and "started in another page" in page.inner_text(".told")
    page.get_by_role("button", name="Start the camera").click()
    sent(page, 3)
    assert page.inner_text(".told") == "" and not camera_is_off(page)
    page.evaluate("tracks.at(-1).dispatchEvent(new Event('ended'))")
    assert camera_is_off(page) and "unplugged" in page.inner_text(".told")
    page.get_by_role("button", name="Start the camera").click()
    sent(page, 4)
    page.evaluate("remove()")
    assert camera_is_off(page) and not page.locator(".safbage-live").count()


@pytest.mark.browser
@pytest.mark.parametrize(
    "options, words",
    [
        (dict(kind="refused"), "The camera was refused. Allow it for this page"),
        (dict(kind="none"), "No camera was found. Connect one"),
        (dict(address="http://camera.example/"), "by https. Open the page so"),
    ],
    ids=["refused", "none", "insecure"],
)
def test_without_a_camera_the_page_says_what_to_do(open_page, options, words):
    page = started(open_page, **options)
    page.get_by_text(words).wait_for()
    assert page.evaluate("sent") == []
    page.get_by_role("button", name="Start the camera").click()  # it can be tried again
    page.get_by_text(words).wait_for()
