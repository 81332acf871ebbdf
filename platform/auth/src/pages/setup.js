"use strict";

const form = document.getElementById("form");
const state = document.getElementById("state");
const fault = document.getElementById("fault");
const submit = document.getElementById("submit");
const token = new URLSearchParams(location.hash.slice(1)).get("token") || "";

// The token leaves the address bar and the history as soon as it is read.
if (token) {
  history.replaceState(null, "", location.pathname);
}

function showFaults(problem) {
  fault.textContent = problem.detail || "That did not work. Try again.";
  for (const input of form.elements) {
    const place = document.getElementById(input.name + "-fault");
    if (!place) continue;
    const found = (problem.errors || []).find((each) => each.pointer === "/" + input.name);
    place.textContent = found ? found.detail : "";
    input.setAttribute("aria-invalid", found ? "true" : "false");
  }
}

async function show() {
  if (!token) {
    state.textContent = "This page needs the link that the node printed at its start, or that `troupe admin setup-link` prints.";
    return;
  }
  state.hidden = true;
  form.hidden = false;
  document.getElementById("organisation").focus();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  submit.disabled = true;
  fault.textContent = "";
  const body = { token };
  for (const name of ["organisation", "display_name", "email", "password"]) {
    body[name] = form.elements[name].value;
  }
  try {
    const response = await fetch("/v1/auth/setup", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (response.ok) {
      const login = JSON.stringify({ email: body.email, password: "…" });
      document.getElementById("login").textContent =
        "curl -H 'Content-Type: application/json' \\\n  -d '" + login + "' \\\n  " + location.origin + "/v1/auth/login";
      form.reset();
      form.hidden = true;
      document.getElementById("done").hidden = false;
    } else {
      showFaults(await response.json());
    }
  } catch {
    showFaults({ detail: "The node does not answer. Is it running?" });
  }
  submit.disabled = false;
});

show();
