// One command for Redis, in its inline form; resolves with the answer's lines.
const net = require("node:net");
const url = new URL(process.env.REDIS_URL);

module.exports = (...words) =>
  new Promise((resolve, reject) => {
    const socket = net.connect(url.port, url.hostname);
    let said = "";
    socket.on("error", reject);
    socket.on("data", (data) => (said += data));
    socket.on("close", () => resolve(said.split("\r\n").slice(1)));
    socket.end(`AUTH ${decodeURIComponent(url.password)}\r\n${words.join(" ")}\r\nQUIT\r\n`);
  });
