// Keeps a page current: asks for it again, puts what changed in its place, and
// says so where it could not be reached. Without it the page is whole, and the
// browser loads it again by itself. It makes elements only of what the server
// sent as a page, and text through textContent.
(() => {
  const $ = s => document.querySelector(s);
  // The texts of this script in the reader's language, as the server put them
  // into the page; English where it put none.
  const texts = JSON.parse(document.body.dataset.texts || '{}');
  const t = (s, ...values) => (texts[s] || s).replace(/\{(\d)\}/g, (_, n) => values[n - 1]);
  let tag = '', timer = 0, asking = null, failed = 0, since = '';

  // Folded rows are printed, too.
  let opened = [];
  addEventListener('beforeprint', () => {
    opened = [...document.querySelectorAll('details:not([open])')];
    for (const d of opened) d.open = true;
  });
  addEventListener('afterprint', () => { for (const d of opened) d.open = false; opened = []; });

  const every = () => Number(document.body.dataset.refresh || 0) * 1000;

  function say(text) {
    let p = $('#unreached');
    if (!text) { if (p) p.remove(); return; }
    if (!p) {
      p = document.createElement('p');
      p.id = 'unreached';
      p.className = 'banner bad';
      p.setAttribute('role', 'alert');
      p.append(document.createElement('span'));
      $('main').prepend(p);
    }
    if (p.firstChild.textContent !== text) p.firstChild.textContent = text;
  }

  // Puts a newer page in place of this one; what the reader unfolded, marked or
  // filled in stays.
  function replace(text) {
    const next = new DOMParser().parseFromString(text, 'text/html');
    const main = next.querySelector('main');
    if (!main) return;
    const open = new Set([...document.querySelectorAll('main details[open] > summary')].map(s => s.textContent));
    for (const s of main.querySelectorAll('details > summary')) if (open.has(s.textContent)) s.parentElement.open = true;
    const at = document.activeElement;
    const where = at && at !== document.body && $('main').contains(at) ? [...$('main').querySelectorAll('a, button, input, select, summary, [tabindex]')].indexOf(at) : -1;
    localTimes(main, t);
    $('main').replaceWith(main);
    const meta = next.querySelector('.top .meta');
    if (meta) { localTimes(meta, t); $('.top .meta').replaceWith(meta); }
    document.body.dataset.refresh = next.body.dataset.refresh || '0';
    document.title = next.title;
    if (where >= 0) {
      const again = [...main.querySelectorAll('a, button, input, select, summary, [tabindex]')][where];
      if (again) again.focus({preventScroll: true});
    }
  }

  // An element that is replaced between the press and the release of a button
  // gets no click, and a press on a window in the background is what brings it
  // here to ask: what came waits until the button is up and the click is done.
  // A release outside the window may not be told; the next move is without it.
  let release = null, released = Promise.resolve();
  addEventListener('pointerdown', e => {
    if (e.button === 0 && !release) released = new Promise(done => { release = done; });
  }, true);
  const up = () => { if (release) { setTimeout(release); release = null; } };
  addEventListener('pointerup', up, true);
  addEventListener('pointercancel', up, true);
  addEventListener('pointermove', e => { if (!e.buttons) up(); }, true);

  async function ask() {
    clearTimeout(timer);
    if (asking || document.hidden || !every()) return;
    const stop = new AbortController();
    asking = stop;
    const late = setTimeout(() => stop.abort(), 20000);
    try {
      const answer = await fetch(location.href, {headers: tag ? {'If-None-Match': tag} : {}, cache: 'no-store', signal: stop.signal});
      if (answer.status === 200) {
        const text = await answer.text();
        await released;
        if (!$('main').contains(document.activeElement) || !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) replace(text);
        tag = answer.headers.get('ETag') || '';
      } else if (answer.status !== 304) {
        throw new Error('status ' + answer.status);
      }
      failed = 0;
      since = '';
      say('');
    } catch (e) {
      failed++;
      since = since || new Date().toLocaleTimeString();
      say(t('shenscan did not answer since {1}: what stands here may be old. This page goes on asking.', since));
    } finally {
      clearTimeout(late);
      asking = null;
      plan();
    }
  }

  function plan() {
    clearTimeout(timer);
    if (!every()) return;
    timer = setTimeout(ask, failed ? Math.min(30000, 1000 * 2 ** failed) : every());
  }

  // A timer may have slept with the machine or the tab.
  document.addEventListener('visibilitychange', () => { if (!document.hidden) ask(); });
  addEventListener('online', ask);
  addEventListener('pageshow', e => { if (e.persisted) ask(); });
  addEventListener('focus', ask);

  localTimes(document, t);
  plan();
})();
