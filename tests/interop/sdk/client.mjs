// Does with the official SDK what a test asks for, one JSON object a line on stdin.
// Each is answered on stdout with {"id", "value"} or {"id", "error"}; what a listener hears
// comes as {"listener", "event", "key", "children", "value", "previous"}.
import { createInterface } from "node:readline";
import { initializeApp } from "firebase/app";
import * as identity from "firebase/auth";
import * as db from "firebase/database";

const [url, authUrl] = process.argv.slice(2);
const app = initializeApp({ databaseURL: url, apiKey: "any-key" });
const database = db.getDatabase(app);
const auth = authUrl === undefined ? undefined : identity.getAuth(app);
if (auth !== undefined) {
  identity.connectAuthEmulator(auth, authUrl, { disableWarnings: true });
}
const listeners = new Map();

const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");

const describe = (snapshot) => {
  const children = [];
  snapshot.forEach((child) => {
    children.push(child.key);
  });
  return { key: snapshot.key, value: snapshot.exportVal(), children };
};

const place = ({ path, query = [] }) =>
  db.query(db.ref(database, path), ...query.map(([name, ...rest]) => db[name](...rest)));

const changes = {
  add: (value, operand) => (value ?? 0) + operand,
  append: (value, operand) => [...(value ?? []), operand],
  abort: () => undefined,
  abortUnlessNull: (value, operand) => (value === null ? operand : undefined),
};

const describeUser = () => {
  const { uid, email, displayName, isAnonymous } = auth.currentUser;
  return { uid, email, displayName, isAnonymous };
};

const events = {
  value: db.onValue,
  child_added: db.onChildAdded,
  child_changed: db.onChildChanged,
  child_removed: db.onChildRemoved,
  child_moved: db.onChildMoved,
};

const actions = {
  set: ({ path, value }) => db.set(db.ref(database, path), value),
  setWithPriority: ({ path, value, priority }) =>
    db.setWithPriority(db.ref(database, path), value, priority),
  setPriority: ({ path, priority }) => db.setPriority(db.ref(database, path), priority),
  update: ({ path, value }) => db.update(db.ref(database, path), value),
  remove: ({ path }) => db.remove(db.ref(database, path)),
  push: async ({ path, value }) => (await db.push(db.ref(database, path), value)).key,
  get: async (request) => describe(await db.get(place(request))),
  transaction: async ({ path, change, operand }) => {
    const result = await db.runTransaction(db.ref(database, path), (value) =>
      changes[change](value, operand),
    );
    return { committed: result.committed, value: result.snapshot.exportVal() };
  },
  onDisconnectSet: ({ path, value }) => db.onDisconnect(db.ref(database, path)).set(value),
  onDisconnectUpdate: ({ path, value }) => db.onDisconnect(db.ref(database, path)).update(value),
  onDisconnectCancel: ({ path }) => db.onDisconnect(db.ref(database, path)).cancel(),
  // One of the SDK's functions on whoever may be signed in; answers with who is.
  identity: async ({ name, values = [] }) => {
    const result = await identity[name](auth, ...values);
    return auth.currentUser === null ? (result ?? null) : describeUser();
  },
  signInWithGoogle: async ({ idToken }) => {
    const credential = identity.GoogleAuthProvider.credential(idToken);
    await identity.signInWithCredential(auth, credential);
    return describeUser();
  },
  updateProfile: async ({ profile }) => {
    await identity.updateProfile(auth.currentUser, profile);
    return describeUser();
  },
  updatePassword: ({ password }) => identity.updatePassword(auth.currentUser, password),
  idToken: ({ force }) => auth.currentUser.getIdToken(force),
  deleteUser: () => identity.deleteUser(auth.currentUser),
  goOffline: () => db.goOffline(database),
  goOnline: () => db.goOnline(database),
  listen: (request) => {
    const { listener, event } = request;
    const hear = (snapshot, previous = null) =>
      say({ listener, event, previous, ...describe(snapshot) });
    const cancelled = (error) => say({ listener, event: "cancel", value: error.code ?? error.message });
    listeners.set(listener, events[event](place(request), hear, cancelled));
  },
  unlisten: ({ listener }) => {
    listeners.get(listener)();
    listeners.delete(listener);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  // Not awaited: requests overlap as they do in an application.
  Promise.resolve()
    .then(() => actions[request.action](request))
    .then(
      (value) => say({ id: request.id, value: value ?? null }),
      (error) => say({ id: request.id, error: error.code ?? error.message }),
    );
}
process.exit(0);
