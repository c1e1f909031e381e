// A phone that speaks SIP over WebSocket (RFC 7118) by SIP.js, a library that nobody here wrote, and sends
// and counts plain RTP where a browser would have its own media.
//
//   node phone.mjs SERVER DOMAIN USER PASSWORD ADDRESS
//
// It reads `register`, `unregister`, `call NUMBER`, `answer`, `refuse`, `hold`, `resume`, `bye` and `quit`, and
// prints what happens, a line each.

import dgram from "node:dgram";
import readline from "node:readline";
import { WebSocket } from "ws";

globalThis.WebSocket = WebSocket;
const { Inviter, Registerer, SessionState, UserAgent } = await import("sip.js");

const [server, domain, user, password, address] = process.argv.slice(2);
const family = address.includes(":") ? 6 : 4;
const say = (...words) => console.log(...words);

// One stream of µ-law silence, fifty packets a second, whatever is offered.
class Media {
  #socket = dgram.createSocket(`udp${family}`);
  #bound = new Promise((done) => this.#socket.bind(0, address, done));
  #ticks = null;
  #packet = Buffer.alloc(172, 0xff);
  #count = 0;
  #heard = 0;
  #direction = "sendrecv";

  constructor() {
    this.#packet.writeUInt16BE(0x8000);
    this.#packet.writeUInt32BE(0x5eed, 8);
    this.#socket.on("message", () => {
      if (++this.#heard === 50) say("heard");
    });
  }

  async getDescription(options) {
    await this.#bound;
    this.#direction = options?.hold ? "sendonly" : "sendrecv";
    const port = this.#socket.address().port;
    const body = [
      "v=0",
      `o=- 1 ${++this.#count} IN IP${family} ${address}`,
      "s=-",
      `c=IN IP${family} ${address}`,
      "t=0 0",
      `m=audio ${port} RTP/AVP 0`,
      `a=${this.#direction}`,
      "",
    ].join("\r\n");
    return { body, contentType: "application/sdp" };
  }

  async setDescription(sdp) {
    const host = /^c=IN IP[46] (\S+)/m.exec(sdp)[1];
    const port = Number(/^m=audio (\d+)/m.exec(sdp)[1]);
    const said = /^a=(sendrecv|sendonly|recvonly|inactive)/m.exec(sdp);
    say("described", said ? said[1] : "sendrecv");
    clearInterval(this.#ticks);
    let number = 0;
    this.#ticks = setInterval(() => {
      this.#packet.writeUInt16BE(++number & 0xffff, 2);
      this.#packet.writeUInt32BE(number * 160, 4);
      this.#socket.send(this.#packet, port, host);
    }, 20);
  }

  hasDescription(contentType) {
    return contentType === "application/sdp";
  }

  async rollbackDescription() {}

  sendDtmf() {
    return false;
  }

  close() {
    clearInterval(this.#ticks);
    this.#socket.close();
  }
}

let session = null;

function follow(next) {
  session = next;
  session.stateChange.addListener((state) => say("session", state));
}

const agent = new UserAgent({
  uri: UserAgent.makeURI(`sip:${user}@${domain}`),
  authorizationUsername: user,
  authorizationPassword: password,
  transportOptions: { server, keepAliveInterval: 1 },
  sessionDescriptionHandlerFactory: () => new Media(),
  logBuiltinEnabled: false,
  delegate: {
    onInvite(invitation) {
      follow(invitation);
      say("rings");
    },
    onDisconnect(error) {
      say("disconnected", error ? error.message : "");
    },
  },
});
await agent.start();
say("connected");

const registerer = new Registerer(agent, { expires: 120 });
registerer.stateChange.addListener((state) => say("registration", state));

const commands = {
  register: () => registerer.register(),
  unregister: () => registerer.unregister(),
  call(number) {
    follow(new Inviter(agent, UserAgent.makeURI(`sip:${number}@${domain}`)));
    const onReject = (response) => say("refused", response.message.statusCode);
    return session.invite({ requestDelegate: { onReject } });
  },
  answer: () => session.accept(),
  refuse: () => session.reject({ statusCode: 486 }),
  hold: () => session.invite({ sessionDescriptionHandlerOptions: { hold: true } }),
  resume: () => session.invite({ sessionDescriptionHandlerOptions: { hold: false } }),
  bye: () => (session.state === SessionState.Established ? session.bye() : session.cancel()),
  quit: () => process.exit(0),
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [name, ...rest] = line.split(" ");
  try {
    await commands[name](...rest);
  } catch (error) {
    say("failed", name, error.message);
  }
}
process.exit(0);
