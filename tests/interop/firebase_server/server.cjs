// Runs npm's firebase-server, another implementation of the protocol, on a free port.
// Tells the port as {"listener": "port", "value"}; answers {"id", "action": "value"} with all data.
const { createInterface } = require("node:readline");
const FirebaseServer = require("firebase-server");

const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");

const server = new FirebaseServer(
  { port: 0, host: "127.0.0.1" },
  "127.0.0.1",
  JSON.parse(process.argv[2]),
);
server.wss.on("listening", () => {
  // Clients connect anew to the name that the handshake gives.
  server.name = `127.0.0.1:${server.getPort()}`;
  say({ listener: "port", value: server.getPort() });
});

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { id, action } = JSON.parse(line);
    if (action === "drop") {
      server.wss.clients.forEach((client) => client.terminate());
    }
    say({ id, value: await server.getValue() });
  })
  .on("close", () => process.exit(0));
