// What the functions do: answer with what they were given, fail, or take too long.
exports.echo = async (event, context) => ({
  statusCode: 201,
  headers: { "x-function": context.functionName },
  cookies: ["__Host-session=1; Secure; HttpOnly; Path=/", "theme=dark"],
  body: JSON.stringify(event),
});
exports.fail = async () => {
  throw new TypeError("words of the function's inside");
};
exports.slow = async () => new Promise((answer) => setTimeout(() => answer("late"), 5000));
