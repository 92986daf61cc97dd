// Takes jobs from Redis.
const redis = require("./redis.js");
setInterval(async () => {
  const found = await redis("LPOP", "jobs");
  if (found[0] !== "$-1") await redis("SET", "done", found[1]);
}, 200);
process.on("SIGTERM", () => process.exit(0));
