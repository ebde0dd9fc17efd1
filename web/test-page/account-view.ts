/** Sign up, log in, log out, or just an API key that is there already. */
import { button, form } from './actions.js';
import { call } from './api.js';
import { card, element, field, input, row } from './dom.js';
import { showDone } from './notices.js';
import { change, current, follow, forget } from './session.js';
import type { Session } from './types.js';

export function accountView(): HTMLElement {
  const email = input('email', { autocomplete: 'username', required: true });
  const password = input('password', {
    autocomplete: 'current-password',
    required: true,
    minlength: 8,
  });
  const enter = async (path: string) => {
    const body = { email: email.value, password: password.value };
    const session = await call<Session>('POST', path, { body, as: 'nobody' });
    password.value = '';
    change({ email: session.user.email, accessToken: session.access_token });
    showDone(`Logged in as ${session.user.email}.`);
  };
  const login = form(
    'Account',
    'Log in',
    () => enter('/v1/auth/login'),
    field('E-mail', email),
    field('Password', password, 'At least 8 characters.'),
  );
  const signUp = async () => {
    if (login.reportValidity()) await enter('/v1/auth/signup');
  };
  login.append(button('Sign up', signUp));
  const logOut = row(button('Log out', forget));
  follow(() => {
    const isIn = current().accessToken !== '';
    login.hidden = isIn;
    logOut.hidden = !isIn && current().apiKey === '';
    tellWho();
  });
  const note = 'Credentials stay in this tab until it is closed.';
  return card('Account', login, keyForm(), logOut, element('p', { class: 'empty' }, note));
}

/** For who has a key and needs no account here, such as the one of `wrenn up`. */
function keyForm(): HTMLElement {
  const key = input('password', { autocomplete: 'off', required: true });
  const use = () => {
    change({ apiKey: key.value.trim() });
    key.value = '';
  };
  return form('API key', 'Use this key', use, field('API key', key));
}

function tellWho(): void {
  const { email, apiKey } = current();
  const who = [email || 'Nobody logged in', apiKey ? `key ${apiKey.slice(0, 12)}…` : 'no API key'];
  const place = document.getElementById('who');
  if (place) place.textContent = who.join(' · ');
}
