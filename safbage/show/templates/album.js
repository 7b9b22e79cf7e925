"use strict";
(() => {
  const form = document.querySelector(".filters");
  const main = document.getElementById("photos");
  const failedList = document.getElementById("failed");
  const count = form.querySelector(".count");
  const columns = ["age", "gender", "expression", "quality"].filter(name => form.elements[name]);
  const photos = [...main.children].map(card => ({
    card,
    state: card.dataset.state,
    name: card.dataset.name.toLowerCase(),
    faces: [...card.querySelectorAll("li")].map(tile => ({
      tile,
      box: card.querySelector(`g[data-face="${tile.dataset.face}"]`),
      values: columns.map(name => (tile.dataset[name] ?? "").split("|")),
    })),
  }));
  const failed = [...(failedList?.querySelectorAll("li") ?? [])].map(line => ({
    line,
    name: line.dataset.name.toLowerCase(),
  }));
  const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

  function filter() {
    const wanted = columns.map(name => form.elements[name].value);
    const byFace = wanted.some(Boolean);
    const name = form.elements.name.value.trim().toLowerCase();
    const state = form.elements.state.value;
    let shownPhotos = 0;
    let shownFaces = 0;
    for (const photo of photos) {
      let fitting = 0;
      for (const face of photo.faces) {
        const fits = wanted.every((value, i) => !value || face.values[i].includes(value));
        face.tile.hidden = !fits;
        face.box?.classList.toggle("off", !fits);
        fitting += fits;
      }
      const fits = (!state || photo.state === state) && photo.name.includes(name) && (!byFace || fitting > 0);
      photo.card.hidden = !fits;
      shownPhotos += fits;
      shownFaces += fits ? fitting : 0;
    }
    let shownFailed = 0;
    for (const { line, name: own } of failed) {
      line.hidden = !own.includes(name);
      shownFailed += !line.hidden;
    }
    if (failedList) failedList.hidden = byFace || !shownFailed || (state !== "" && state !== "failed");
    const also = failedList && !failedList.hidden ? `, ${shownFailed.toLocaleString("en")} failed` : "";
    count.value = `${plural(shownPhotos, "photo")}, ${plural(shownFaces, "face")}${also}`;
  }

  function view(name) {
    form.elements.view.value = name;
    main.className = name;
  }

  form.addEventListener("input", event => {
    if (event.target.name === "view") view(event.target.value);
    else filter();
  });
  form.addEventListener("reset", () => setTimeout(() => {
    view("photos");
    filter();
  }));
  form.addEventListener("submit", event => event.preventDefault());

  // From a face to its photo.
  main.addEventListener("click", event => {
    const link = event.target.closest(".from");
    if (!link) return;
    event.preventDefault();
    view("photos");
    location.hash = link.hash;
    const card = document.querySelector(link.hash);
    card.scrollIntoView({ block: "center", behavior: "instant" });
    card.focus({ preventScroll: true });
  });

  // The box of the face that is pointed at.
  main.addEventListener("pointerover", event => {
    main.querySelector("g.at")?.classList.remove("at");
    const tile = event.target.closest("li");
    tile?.closest("article").querySelector(`g[data-face="${tile.dataset.face}"]`)?.classList.add("at");
  });

  form.hidden = false;
  view(form.elements.view.value);
  filter();
})();
