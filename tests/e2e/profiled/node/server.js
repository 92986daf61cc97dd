const fs = require("node:fs");
const http = require("node:http");
const redis = require("./redis.js");

const pages = {
  "/health": () => "well",
  "/": () => '<link rel="stylesheet" href="/static/style.css">',
  "/static/style.css": () => "body {}",
  "/about": () => ({
    release: fs.readFileSync("release", "utf8").trim(),
    migrated: fs.readFileSync("/app/data/migrated", "utf8").trim().split("\n").pop(),
    user: process.getuid(),
    url: process.env.PUBLIC_URL,
    secret: Boolean(process.env.SESSION_SECRET) && !process.env.SECRET_KEY,
  }),
  "/upload": () => fs.writeFileSync(`${process.env.MEDIA_ROOT}/a.txt`, "kept") || "taken",
  "/job": async () => (await redis("RPUSH", "jobs", "42"))[0],
  "/done": async () => ((await redis("GET", "done"))[1] === "42" ? "yes" : "no"),
};

const server = http.createServer(async (request, response) => {
  const page = pages[request.url];
  const answer = page ? await page() : "";
  response.writeHead(page ? 200 : 404).end(typeof answer === "string" ? answer : JSON.stringify(answer));
});
server.listen(process.env.PORT, "0.0.0.0");
process.on("SIGTERM", () => server.close(() => process.exit(0)));
