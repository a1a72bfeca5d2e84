// A real Socket.IO client: asks twice, with a silence between that holds heartbeats, and prints what it saw as JSON.
//
//     NODE_PATH=FOLDER/node_modules node socketio_client.cjs URL MODE [SILENCE_MS]
//
// FOLDER is where `npm install socket.io-client` ran. MODE is websocket, polling, or upgrade (polling first, the
// client's default). SILENCE_MS is 3000 in the recordings.
"use strict";
const { io } = require("socket.io-client");

const TRANSPORTS = { websocket: ["websocket"], polling: ["polling"], upgrade: ["polling", "websocket"] };
const QUESTIONS = ["What did storage cost?", "And compute?"];
const LIMIT_MS = 25000;

const [url, mode, silenceMs = "3000"] = process.argv.slice(2);
const seen = [];
// Bytes as JSON can say them.
const plain = (value) => JSON.parse(JSON.stringify(value, (_, item) =>
  item && item.type === "Buffer" ? { bytes: Buffer.from(item.data).toString("hex") } : item));
const note = (...what) => seen.push(plain(what));
const end = (code) => process.stdout.write(JSON.stringify(seen, null, 1) + "\n", () => process.exit(code));

const socket = io(url, { transports: TRANSPORTS[mode], reconnection: false, forceNew: true });
setTimeout(() => { note("too late"); end(1); }, LIMIT_MS);
const silence = () => new Promise((done) => setTimeout(done, Number(silenceMs)));

socket.onAny((name, ...values) => note("event", name, ...values));
socket.on("connect_error", (error) => { note("connect_error", error.message); end(1); });
socket.on("disconnect", (reason) => {
  note("disconnect", reason);
  // The farewell has to reach the wire before the process ends.
  setTimeout(() => end(reason === "io client disconnect" ? 0 : 1), 200);
});
socket.io.engine.on("upgrade", (transport) => note("upgrade", transport.name));
socket.on("connect", async () => {
  note("connect", socket.io.engine.transport.name);
  let pings = 0;
  socket.io.on("ping", () => { pings += 1; });
  for (const question of QUESTIONS) {
    const completed = new Promise((done) => socket.once("agent_completed", done));
    const acknowledged = socket.emitWithAck("ask", question);
    await completed;
    note("acknowledged", await acknowledged);
    pings = 0;
    await silence();
    note("pings in the silence", pings >= 2 && pings <= 4 ? "2 to 4" : pings);
  }
  note("transport", socket.io.engine.transport.name);
  socket.disconnect();
});
