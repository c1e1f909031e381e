// What a peer does wrong over WebSocket, one connection each, and how each ends: `NAME OUTCOME` a line.
//
//   node broken.mjs SERVER

import { WebSocket } from "ws";

const server = process.argv[2];
const host = new URL(server).hostname;
const patience = 2_000;

const options = (body) =>
  [
    `OPTIONS sip:${host} SIP/2.0`,
    "Via: SIP/2.0/WS peer.invalid;branch=z9hG4bKpeer",
    "Max-Forwards: 70",
    "From: <sip:peer@peer.invalid>;tag=peer",
    `To: <sip:${host}>`,
    "Call-ID: peer",
    "CSeq: 1 OPTIONS",
    `Content-Length: ${body.length}`,
    "",
    body,
  ].join("\r\n");

// The first line of what comes back, or how the connection ends.
const outcome = (offer, act) =>
  new Promise((done) => {
    const socket = new WebSocket(server, offer);
    setTimeout(() => done("silence"), patience).unref();
    socket.on("open", () => act(socket));
    socket.on("message", (data) => done(JSON.stringify(String(data).split("\r\n")[0])));
    socket.on("close", (code) => done(`closed ${code}`));
    socket.on("error", (error) => done(error.message));
  });

// A frame as it is on the wire; the mask is zeros.
const frame = (first, bytes, masked = true) => {
  const length = [bytes.length | (masked ? 0x80 : 0)];
  const mask = masked ? [0, 0, 0, 0] : [];
  return Buffer.concat([Buffer.from([first, ...length, ...mask]), bytes]);
};
const raw = (...frames) => (socket) => frames.forEach((bytes) => socket._socket.write(bytes));
const text = (words) => Buffer.from(words);

const cases = {
  whole: ["sip", (socket) => socket.send(options(""))],
  binary: ["sip", (socket) => socket.send(Buffer.from(options("")))],
  fragmented: [
    "sip",
    (socket) => {
      const words = options("");
      socket.send(words.slice(0, 40), { fin: false });
      socket.send(words.slice(40, 90), { fin: false });
      socket.send(words.slice(90), { fin: true });
    },
  ],
  keep_alive: ["sip", (socket) => socket.send("\r\n\r\n")],
  no_protocol: [[], () => {}],
  other_protocol: ["chat", () => {}],
  no_sip: ["sip", (socket) => socket.send("good morning")],
  too_long: ["sip", (socket) => socket.send(options("x".repeat(100_000)))],
  unmasked: ["sip", raw(frame(0x81, text("OPTIONS"), false))],
  reserved_bit: ["sip", raw(frame(0xc1, text("OPTIONS")))],
  unknown_kind: ["sip", raw(frame(0x83, text("OPTIONS")))],
  no_beginning: ["sip", raw(frame(0x80, text("OPTIONS")))],
  no_utf8: ["sip", raw(frame(0x81, Buffer.from([0xc3, 0x28])))],
  long_ping: ["sip", raw(Buffer.from([0x89, 0xfe, 0, 200, 0, 0, 0, 0]), Buffer.alloc(200))],
  ends_inside: ["sip", (socket) => (socket._socket.write(frame(0x01, text("OPT"))), socket._socket.end())],
};

for (const [name, [offer, act]] of Object.entries(cases)) {
  console.log(name, await outcome(offer, act));
}
process.exit(0);
