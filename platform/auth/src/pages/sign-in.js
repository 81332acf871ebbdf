"use strict";

const at = (id) => document.getElementById(id);
const knowsPasskeys = Boolean(window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON);

// The tokens live as long as this page and are stored nowhere.
let tokens = null;
let waiting = null;
let own = [];

async function call(method, path, body) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (tokens) headers.Authorization = "Bearer " + tokens.access_token;
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Error("The node does not answer. Try again.");
  }
  const text = await response.text();
  if (response.ok) return text ? JSON.parse(text) : null;
  if (response.status === 401 && tokens) show(null);
  throw new Error(problemOf(text));
}

function problemOf(text) {
  try {
    const problem = JSON.parse(text);
    const places = (problem.errors || []).map((each) => each.pointer.slice(1) + " " + each.detail);
    return [problem.detail, ...places].join(". ");
  } catch {
    return "That did not work. Try again.";
  }
}

async function askNew(options) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  return (await navigator.credentials.create({ publicKey })).toJSON();
}

async function ask(options) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return (await navigator.credentials.get({ publicKey })).toJSON();
}

function show(section) {
  if (section !== "in") tokens = null;
  if (section !== "second") waiting = null;
  for (const id of ["out", "second", "in"]) at(id).hidden = id !== (section || "out");
  at("title").textContent = section === "in" ? "Signed in" : "Sign in";
  at("recovery").hidden = true;
  for (const form of document.forms) form.reset();
}

async function enter(given) {
  show("in");
  tokens = given;
  const me = await call("GET", "/v1/users/me");
  await list();
  at("state").textContent = "You are signed in as " + me.email + ".";
}

async function list() {
  own = await call("GET", "/v1/auth/passkeys");
  const factor = await call("GET", "/v1/auth/second-factor");
  at("none").hidden = own.length > 0;
  at("proof-second").hidden = own.length === 0 && !factor.totp_since;
  at("passkeys").replaceChildren(...own.map(line));
}

function line(passkey) {
  const item = document.createElement("li");
  item.dataset.id = passkey.id;
  const name = document.createElement("strong");
  name.textContent = passkey.name;
  const used = passkey.last_used_at ? ", used " + new Date(passkey.last_used_at).toLocaleString() : ", not used yet";
  const state = passkey.copied_at ? ": there are two of it, and it opens nothing. Remove it." : used;
  item.append(name, state, button("Rename", () => rename(passkey)), button("Remove", () => remove(passkey)));
  return item;
}

function button(text, work) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", () => run(work));
  return made;
}

async function rename(passkey) {
  const name = window.prompt("The new name of this passkey", passkey.name);
  if (name === null) return;
  await call("PATCH", "/v1/auth/passkeys/" + passkey.id, { name });
  await list();
}

async function remove(passkey) {
  await call("POST", "/v1/auth/passkeys/" + passkey.id + "/remove", await proofs());
  at("add-form").reset();
  await list();
}

// What a request takes that a stolen token alone must not do.
async function proofs() {
  const body = {};
  if (at("proof-password").value) body.current_password = at("proof-password").value;
  if (at("proof-second").hidden) return body;
  if (at("proof-code").value) {
    body.code = at("proof-code").value;
  } else if (own.length > 0) {
    const question = await call("POST", "/v1/auth/passkeys/proof");
    body.passkey = { ceremony: question.ceremony, credential: await ask(question.public_key) };
  }
  return body;
}

async function add() {
  const name = at("name").value.trim();
  if (!name) throw new Error("Give the passkey a name.");
  const question = await call("POST", "/v1/auth/passkeys/begin", await proofs());
  const credential = await askNew(question.public_key);
  const added = await call("POST", "/v1/auth/passkeys", { ceremony: question.ceremony, credential, name });
  at("add-form").reset();
  at("recovery").hidden = !added.recovery_codes;
  at("recovery-codes").textContent = (added.recovery_codes || []).join("\n");
  await list();
}

async function withPasskey() {
  const question = await call("POST", "/v1/auth/passkeys/login/begin");
  const answer = { ceremony: question.ceremony, credential: await ask(question.public_key) };
  await enter(await call("POST", "/v1/auth/passkeys/login", { answer }));
}

async function withPassword() {
  const body = { email: at("email").value, password: at("password").value };
  const answer = await call("POST", "/v1/auth/login", body);
  if (answer.access_token) return enter(answer);
  show("second");
  waiting = answer;
  at("answer-passkey").hidden = !(knowsPasskeys && answer.passkey);
}

async function answerWithPasskey() {
  const credential = await ask(waiting.passkey);
  await enter(await call("POST", "/v1/auth/login/passkey", { challenge: waiting.challenge, credential }));
}

async function answerWithCode() {
  await enter(await call("POST", "/v1/auth/login/code", { challenge: waiting.challenge, code: at("code").value }));
}

async function signOut() {
  try {
    await call("POST", "/v1/auth/logout");
  } finally {
    show(null);
    at("state").textContent = "You are signed out.";
  }
}

// One thing at a time; what went wrong is said, and the page can be used again.
async function run(work) {
  at("fault").textContent = "";
  for (const each of document.querySelectorAll("button")) each.disabled = true;
  try {
    await work();
  } catch (error) {
    const cancelled = error.name === "NotAllowedError";
    at("fault").textContent = cancelled ? "That was cancelled or took too long. Try again." : error.message;
  }
  for (const each of document.querySelectorAll("button")) each.disabled = false;
  at("with-passkey").disabled = !knowsPasskeys;
}

for (const [id, work] of [["with-passkey", withPasskey], ["answer-passkey", answerWithPasskey], ["sign-out", signOut]]) {
  at(id).addEventListener("click", () => run(work));
}
for (const [id, work] of [["password-form", withPassword], ["code-form", answerWithCode], ["add-form", add]]) {
  at(id).addEventListener("submit", (event) => {
    event.preventDefault();
    run(work);
  });
}
at("with-passkey").disabled = !knowsPasskeys;
at("no-passkeys").hidden = knowsPasskeys;
