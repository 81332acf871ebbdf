// Shows the description of the API and sends requests of the reader's making.
// It reads /openapi.json and speaks to its own origin only; the token never leaves this page but
// in the requests that the reader sends.
"use strict";

/** Makes an element. Text is always set as text: nothing of the description becomes markup. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") element.className = value;
    else if (key in element && typeof value !== "string") element[key] = value;
    else element.setAttribute(key, value);
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined) continue;
    element.append(child);
  }
  return element;
}

const METHODS = ["get", "post", "put", "patch", "delete"];
let description = null;

/** Follows a reference within the description. */
function resolve(node) {
  if (!node || !node.$ref) return node;
  return node.$ref.replace(/^#\//, "").split("/").reduce((at, key) => at && at[key], description);
}

function referenceName(node) {
  return node && node.$ref ? node.$ref.split("/").pop() : null;
}

/** A schema in one line. */
function typeOf(schema) {
  const name = referenceName(schema);
  if (name) return name;
  if (!schema) return "any";
  const choices = schema.oneOf || schema.anyOf;
  if (choices) return choices.map(typeOf).join(" or ");
  if (schema.allOf) return schema.allOf.map(typeOf).join(" with ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const types = [].concat(schema.type || "any");
  return types
    .map((type) => (type === "array" ? `[${typeOf(schema.items)}]` : type + (schema.format ? ` (${schema.format})` : "")))
    .join(" or ");
}

/** The properties of a schema with those of its parts. */
function propertiesOf(schema, depth = 0) {
  const resolved = resolve(schema);
  if (!resolved || depth > 6) return [];
  const own = Object.entries(resolved.properties || {}).map(([name, property]) => ({
    name,
    property,
    required: (resolved.required || []).includes(name),
  }));
  const parts = (resolved.allOf || []).flatMap((part) => propertiesOf(part, depth + 1));
  return parts.concat(own);
}

/** An example value of a schema, to start a request from. */
function exampleOf(schema, depth = 0) {
  const resolved = resolve(schema) || {};
  if (depth > 5) return null;
  if (resolved.examples && resolved.examples.length) return resolved.examples[0];
  if (resolved.example !== undefined) return resolved.example;
  if (resolved.default !== undefined) return resolved.default;
  if (resolved.enum) return resolved.enum[0];
  const choice = (resolved.oneOf || resolved.anyOf || []).find((part) => part.type !== "null");
  if (choice) return exampleOf(choice, depth + 1);
  const type = [].concat(resolved.type || "object").find((name) => name !== "null");
  if (type === "array") return [exampleOf(resolved.items, depth + 1)];
  if (type === "string") return resolved.format === "date-time" ? new Date().toISOString() : "";
  if (type === "integer" || type === "number") return resolved.minimum || 0;
  if (type === "boolean") return false;
  const entries = propertiesOf(resolved).map(({ name, property }) => [name, exampleOf(property, depth + 1)]);
  return Object.fromEntries(entries);
}

function schemaTable(schema) {
  const item = resolve(schema);
  const shown = item && item.items && !item.properties ? item.items : schema;
  const rows = propertiesOf(shown).map(({ name, property, required }) =>
    make("tr", {},
      make("td", {}, make("code", {}, name), required ? " *" : ""),
      make("td", {}, typeOf(property)),
      make("td", { class: "note" }, (resolve(property) || {}).description || property.description || "")));
  const title = make("p", { class: "note" }, typeOf(schema));
  if (!rows.length) return title;
  return make("div", {}, title, make("table", {}, make("tbody", {}, rows)));
}

function parametersTable(parameters) {
  if (!parameters.length) return null;
  const rows = parameters.map((parameter) =>
    make("tr", {},
      make("td", {}, make("code", {}, parameter.name), parameter.required ? " *" : ""),
      make("td", {}, parameter.in),
      make("td", {}, typeOf(parameter.schema)),
      make("td", { class: "note" }, parameter.description || "")));
  return make("div", {}, make("h3", {}, "Parameters"), make("table", {}, make("tbody", {}, rows)));
}

function contentOf(body) {
  const entries = Object.entries((body && body.content) || {});
  return entries.length ? { type: entries[0][0], schema: entries[0][1].schema } : null;
}

function responsesBlock(responses) {
  const blocks = Object.entries(responses).map(([status, given]) => {
    const response = resolve(given);
    const content = contentOf(response);
    const isProblem = content && content.type === "application/problem+json";
    const summary = make("summary", {}, make("code", {}, status), " ", response.description || "",
      content ? make("span", { class: "note" }, ` ${content.type}`) : null);
    return make("details", {}, summary, content && !isProblem && content.schema ? schemaTable(content.schema) : null);
  });
  return make("div", {}, make("h3", {}, "Answers"), blocks);
}

/** The form that sends one request. */
function tryForm(method, path, operation) {
  const content = contentOf(operation.requestBody);
  const fields = (operation.parameters || []).map((parameter) => ({
    parameter,
    input: make("input", { type: "text", autocomplete: "off" }),
  }));
  const body = content ? make("textarea", { spellcheck: "false" }) : null;
  if (body && content.type.includes("json")) {
    body.value = JSON.stringify(exampleOf(content.schema), null, 2);
  }
  const shown = make("pre", { hidden: true });
  const send = make("button", { type: "button" }, "Send");
  send.addEventListener("click", async () => {
    send.disabled = true;
    try {
      shown.textContent = await sendRequest(method, path, fields, content, body);
    } catch (error) {
      shown.textContent = `The request could not be sent: ${error.message}`;
    }
    shown.hidden = false;
    send.disabled = false;
  });
  return make("div", { class: "try" },
    make("h3", {}, "Try it"),
    fields.map(({ parameter, input }) => make("label", {}, `${parameter.name}${parameter.required ? " *" : ""}`, input)),
    body, make("div", {}, send), shown);
}

async function sendRequest(method, path, fields, content, body) {
  const headers = {};
  const query = new URLSearchParams();
  let target = path;
  for (const { parameter, input } of fields) {
    if (!input.value && parameter.in !== "path") continue;
    if (parameter.in === "path") target = target.replace(new RegExp(`\\{\\*?${parameter.name}\\}`), encodeURIComponent(input.value));
    if (parameter.in === "query") query.append(parameter.name, input.value);
    if (parameter.in === "header") headers[parameter.name] = input.value;
  }
  const token = document.getElementById("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body && body.value) headers["Content-Type"] = content.type;
  const search = query.toString();
  const began = performance.now();
  const response = await fetch(target + (search ? `?${search}` : ""), {
    method: method.toUpperCase(),
    headers,
    body: body && body.value ? body.value : undefined,
    credentials: "omit",
  });
  const took = Math.round(performance.now() - began);
  const lines = [`${response.status} ${response.statusText}  (${took} ms)`];
  for (const [name, value] of response.headers) lines.push(`${name}: ${value}`);
  const text = await response.text();
  lines.push("", pretty(text, response.headers.get("content-type") || ""));
  return lines.join("\n");
}

function pretty(text, type) {
  if (!type.includes("json")) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function operationBlock(method, path, operation) {
  const access = operation["x-permission"] || ((operation.security || []).length ? "signed in" : "public");
  const block = make("details", { class: "operation" },
    make("summary", {},
      make("span", { class: `method ${method}` }, method.toUpperCase()),
      make("span", { class: "path" }, path),
      make("span", {}, operation.summary || ""),
      make("span", { class: "note" }, access)));
  block.dataset.search = [method, path, operation.summary, operation.description, access].join(" ").toLowerCase();
  // What is inside is made when it is first opened: a large API has thousands of rows.
  block.addEventListener("toggle", () => {
    if (!block.open || block.querySelector(".body")) return;
    const content = contentOf(operation.requestBody);
    block.append(make("div", { class: "body" },
      operation.description ? make("p", {}, operation.description) : null,
      parametersTable(operation.parameters || []),
      content ? make("div", {}, make("h3", {}, "Body ", make("span", { class: "note" }, content.type)),
        content.schema ? schemaTable(content.schema) : null) : null,
      responsesBlock(operation.responses || {}),
      tryForm(method, path, operation)));
  });
  return block;
}

function show() {
  document.getElementById("version").textContent = description.info.version;
  document.getElementById("about").textContent = description.info.description;
  const groups = new Map();
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const method of METHODS) {
      const operation = methods[method];
      if (!operation) continue;
      for (const tag of operation.tags || ["other"]) {
        if (!groups.has(tag)) groups.set(tag, []);
        groups.get(tag).push(operationBlock(method, path, operation));
      }
    }
  }
  const names = [...groups.keys()].sort();
  document.getElementById("tags").replaceChildren(
    ...names.map((name) => make("a", { href: `#tag-${name}` }, `${name} (${groups.get(name).length})`)));
  document.getElementById("operations").replaceChildren(
    ...names.map((name) => make("section", { id: `tag-${name}` }, make("h2", {}, name), groups.get(name))));
}

function filter() {
  const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const block of document.querySelectorAll(".operation")) {
    block.hidden = !words.every((word) => block.dataset.search.includes(word));
  }
  for (const section of document.querySelectorAll("section")) {
    section.hidden = !section.querySelector(".operation:not([hidden])");
  }
}

async function load() {
  const response = await fetch("/openapi.json", { credentials: "omit" });
  if (!response.ok) throw new Error(`status ${response.status}`);
  description = await response.json();
  show();
  document.getElementById("filter").addEventListener("input", filter);
}

load().catch((error) => {
  document.getElementById("operations").textContent = `The description could not be read: ${error.message}`;
});
