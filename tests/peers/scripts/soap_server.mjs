// The npm server `soap`, for the WSDL of an example: node soap_server.mjs WSDL VERSION PASSWORD
import http from 'node:http';
import fs from 'node:fs';
import crypto from 'node:crypto';
import soap from 'soap';

const [wsdl, version, password] = process.argv.slice(2);

const PlaceOrder = (order, answered) => {
  const lines = [].concat(order.line);
  if (lines.some((line) => line.sku === 'nothing')) {
    const fault = version === '1.2'
      ? { Code: { Value: 'soap:Receiver' }, Reason: { Text: 'db01: none left' }, Detail: { 'tns:OutOfStock': 'nothing' } }
      : { faultcode: 'soap:Server', faultstring: 'db01: none left', detail: { 'tns:OutOfStock': 'nothing' } };
    throw { Fault: fault };
  }
  if (lines.some((line) => line.sku === 'broken')) throw new Error('db01: password=hunter2');
  const note = [order.customer, String(order.drawing), lines.map((line) => `${line.sku} ${line.count} ${line.gift}`).join(', ')];
  answered({ id: '9007199254740993', total: '12.50', note });
};
const StockLevel = ({ sku }) => ({ level: sku.length });

const server = http.createServer((request, response) => response.writeHead(404).end());
const listening = soap.listen(server, {
  path: '/orders',
  services: { Orders: { Orders: { PlaceOrder, StockLevel } } },
  xml: fs.readFileSync(wsdl, 'utf8'),
  forceSoap12Headers: version === '1.2',
});
if (password) {
  listening.authenticate = (security) => {
    const { Username, Password, Nonce, Created } = security.UsernameToken;
    const text = (value) => value?.$value ?? value;
    const kind = Password.attributes.Type.split('#')[1];
    const digest = () => {
      const parts = [Buffer.from(text(Nonce), 'base64'), Buffer.from(Created.toISOString?.() ?? text(Created)), Buffer.from(password)];
      return crypto.createHash('sha1').update(Buffer.concat(parts)).digest('base64');
    };
    const expected = kind === 'PasswordDigest' ? digest() : password;
    return text(Username) === 'gateway' && text(Password) === expected;
  };
}
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
