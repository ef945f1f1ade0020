"""The desktop in JavaScript, as the stories meet it."""
