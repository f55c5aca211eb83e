// A client of npm's `soap`: node soap_client.mjs WSDL URL VERSION STEPS [USER]; says what came of each step.
import soap from 'soap';

const [wsdl, url, version, steps, user] = process.argv.slice(2);
const client = await soap.createClientAsync(wsdl, { endpoint: url, forceSoap12Headers: version === '1.2' });
if (user) client.setSecurity(new soap.WSSecurity(user, 'a-password-of-its-own'));
for (const { operation, input } of JSON.parse(steps)) {
  try {
    const [answer] = await client[`${operation}Async`](input);
    console.log(JSON.stringify({ answer }));
  } catch (error) {
    const fault = error.root?.Envelope?.Body?.Fault ?? null;
    console.log(JSON.stringify({ fault, status: error.response?.status, words: error.message }));
  }
}
