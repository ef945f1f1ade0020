// An agent's desktop with MQTT.js over WebSocket: in Node as it stands, in a browser with the same calls.
//
//   npm install mqtt
//   POPBRIDGE_TOKEN=… node desktop_mqttjs.mjs ws://127.0.0.1:8080/mqtt acme 1001
//
// A web page of another origin than the bridge's own must be listed under `origins` of its customer in broker.yaml.
import mqtt from "mqtt";

const [url, customer, agent] = process.argv.slice(2);
const level = agent.replace(/[/+#%]|^\$/g, (each) => "%" + each.charCodeAt(0).toString(16).toUpperCase());
const seen = new Set(); // delivery is at least once: a popid that was shown is not shown again

const client = mqtt.connect(url, { username: `${customer}/${agent}`, password: process.env.POPBRIDGE_TOKEN });

client.on("connect", async () => {
  const filters = ["CTI", "CRM"].flatMap((kind) => [`${kind}/${customer}/${level}`, `${kind}/${customer}/+/${level}`]);
  await client.subscribeAsync(filters, { qos: 1 });
  console.error("connected");
});

client.on("message", (_topic, payload) => {
  const pop = JSON.parse(payload.toString());
  if (seen.has(pop.popid)) return;
  seen.add(pop.popid);
  if (seen.size > 10000) seen.delete(seen.values().next().value);
  console.log(pop.popid, pop.event ?? pop.campaign, JSON.stringify(pop.data)); // the Cloud API names a campaign
  client.publish(pop.ack, JSON.stringify({ popid: pop.popid, outcome: "shown" }), { qos: 1 });
});

client.on("error", (error) => {
  console.error(`refused: ${error.message}`);
  // Connection codes 4 and 5: the token is not accepted, and trying again makes no sense.
  if (error.code === 4 || error.code === 5) client.end();
});
