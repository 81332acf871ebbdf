"use strict";

const form = document.getElementById("form");
const state = document.getElementById("state");
const fault = document.getElementById("fault");
const submit = document.getElementById("submit");
const token = new URLSearchParams(location.hash.slice(1)).get("token") || "";

// The token leaves the address bar and the history as soon as it is read.
if (token) {
  history.replaceState(null, "", location.pathname);
  state.hidden = true;
  form.hidden = false;
  document.getElementById("new_password").focus();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  submit.disabled = true;
  fault.textContent = "";
  const place = document.getElementById("new_password-fault");
  place.textContent = "";
  try {
    const response = await fetch("/v1/auth/password-reset/confirm", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token, new_password: form.elements.new_password.value }),
    });
    if (response.ok) {
      form.reset();
      form.hidden = true;
      state.hidden = false;
      state.textContent = "Your password is set and all your sessions have ended. Log in with the new one.";
    } else {
      const problem = await response.json();
      const found = (problem.errors || []).find((each) => each.pointer === "/new_password");
      place.textContent = found ? found.detail : "";
      fault.textContent = problem.detail;
    }
  } catch {
    fault.textContent = "The node does not answer. Try again.";
  }
  submit.disabled = false;
});
