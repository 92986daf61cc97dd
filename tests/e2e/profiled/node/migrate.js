// Reaches the database that DATABASE_URL names, and leaves a mark on the volume.
const fs = require("node:fs");
const net = require("node:net");
const url = new URL(process.env.DATABASE_URL);
const socket = net.connect(url.port, url.hostname, () => {
  fs.appendFileSync("/app/data/migrated", `${url.pathname.slice(1)}\n`);
  socket.destroy();
});
socket.on("error", (error) => {
  console.error(String(error));
  process.exit(1);
});
