// The instances of the plan: they stand in the page as data, and a row is made
// only of what is unfolded. It writes text only through textContent.
(() => {
  const PAGE = 100;
  const SIGN = {incompatible: '\u2715', unknown: '?', 'needs-action': '!', compatible: '\u2713'};
  // Places in a row: what row in html.go writes.
  const ID = 0, NAME = 1, OWNER = 2, SCOPE = 3, OS = 4, TYPE = 5, TO = 6, TOWHY = 7, PATH = 8, BACK = 9, BACKWHY = 10, VERDICT = 11,
    WHY = 12, NOTE = 13, HOW = 14, LIST = 15, WINDOW = 16, RULE = 17, SOURCE = 18, PATHNOTE = 19, DISKS = 20, CHANGE = 21;
  const $ = id => document.getElementById(id);
  // The texts of this script in the reader's language, as the server put them
  // into the page; English where it put none.
  const texts = JSON.parse(document.body.dataset.texts || '{}');
  const t = (s, ...values) => (texts[s] || s).replace(/\{(\d)\}/g, (_, n) => values[n - 1]);
  localTimes(document, t);
  const data = JSON.parse($('data').textContent);
  const T = data.texts;
  const lower = T.map(s => s.toLowerCase());
  const num = n => n.toLocaleString('en-US');
  const el = (tag, cls, ...content) => {
    const e = document.createElement(tag);
    if (cls) e.className = cls;
    e.append(...content.filter(c => c !== ''));
    return e;
  };
  const SEARCHED = [OWNER, SCOPE, OS, TYPE, TO, WINDOW, HOW];
  const matches = (row, words) => words.every(w =>
    row[ID].toLowerCase().includes(w) || row[NAME].toLowerCase().includes(w) || SEARCHED.some(c => lower[row[c]].includes(w)));

  const badge = v => {
    const sign = el('i', '', SIGN[v] || '');
    sign.setAttribute('aria-hidden', 'true');
    return el('span', 'v v-' + v, sign, el('span', 'w', t(v)));
  };
  const source = text => {
    if (!/^https:\/\/[^\s]+$/.test(text)) return text;
    const a = el('a', '', t('source'));
    a.href = text;
    a.rel = 'noreferrer';
    return a;
  };
  const HEAD = [t('instance'), t('account / zone'), t('system'), t('type and replacement'), t('path'), t('fallback'), t('window'), t('why and how')];

  function line(row) {
    const tr = el('tr');
    const id = el('th', 'cut', el('span', 'mono', row[ID]), el('br'), row[NAME]);
    id.scope = 'row';
    const type = el('td', '', el('span', 'nw', T[row[TYPE]], T[row[TO]] ? ' \u2192 ' + T[row[TO]] : ''));
    if (T[row[TOWHY]]) type.append(el('br'), el('span', 'muted', T[row[TOWHY]]));
    const why = el('td', 'wrap', badge(T[row[VERDICT]]), ' ', T[row[WHY]]);
    if (T[row[NOTE]]) why.append(' ', el('strong', '', T[row[NOTE]]));
    if (T[row[DISKS]]) why.append(el('br'), T[row[DISKS]]);
    if (T[row[CHANGE]]) why.append(el('br'), T[row[CHANGE]]);
    if (T[row[HOW]]) why.append(el('br'), t('Do: {1}', T[row[HOW]]));
    if (T[row[RULE]]) why.append(el('br'), el('span', 'muted', t('Rule {1}', T[row[RULE]]), T[row[SOURCE]] ? ', ' : '', T[row[SOURCE]] ? source(T[row[SOURCE]]) : ''));
    const checks = data.lists[row[LIST]];
    if (checks.length) {
      const list = el('details', '', el('summary', '', t('Before the move ({1})', checks.length)));
      list.addEventListener('toggle', () => {
        if (list.open && list.children.length === 1) list.append(el('ol', '', ...checks.map(c => el('li', '', c))));
      });
      why.append(list);
    }
    tr.append(id, el('td', '', T[row[SCOPE]]), el('td', '', T[row[OS]]), type, el('td', '', T[row[PATH]], T[row[PATHNOTE]] ? el('span', 'muted', ' ' + T[row[PATHNOTE]]) : ''),
      el('td', '', T[row[BACK]], T[row[BACKWHY]] ? el('span', 'muted', ' ' + T[row[BACKWHY]]) : ''), el('td', '', T[row[WINDOW]]), why);
    return tr;
  }

  // A table that grows page by page.
  function table(rows, label) {
    const body = el('tbody');
    const head = el('tr', '', ...HEAD.map(h => { const th = el('th', '', h); th.scope = 'col'; return th; }));
    const scroll = el('div', 'scroll', el('table', 'blocks', el('thead', '', head), body));
    scroll.tabIndex = 0;
    scroll.setAttribute('role', 'region');
    scroll.setAttribute('aria-label', label);
    const more = el('button', 'b');
    more.type = 'button';
    let shown = 0;
    const grow = () => {
      body.append(...rows.slice(shown, shown + PAGE).map(line));
      shown = Math.min(shown + PAGE, rows.length);
      more.hidden = shown === rows.length;
      more.textContent = t('Show more ({1} left)', num(rows.length - shown));
    };
    more.addEventListener('click', grow);
    grow();
    return [scroll, more];
  }

  // The rows of a wave, by owner where there are several.
  function fill(box, wave, rows) {
    const inside = box.querySelector('.list');
    inside.replaceChildren();
    const groups = new Map();
    for (const row of rows) {
      if (!groups.has(row[OWNER])) groups.set(row[OWNER], []);
      groups.get(row[OWNER]).push(row);
    }
    if (groups.size <= 1) {
      if (rows.length) inside.append(...table(rows, t('Instances: {1}', wave.id)));
      return;
    }
    for (const [owner, own] of groups) {
      const d = el('details', '', el('summary', '', T[owner] + ' (' + num(own.length) + ')'));
      d.addEventListener('toggle', () => {
        if (d.open && d.children.length === 1) d.append(...table(own, wave.id + ': ' + T[owner]));
      });
      inside.append(d);
    }
  }

  function matching(wave) {
    const words = $('q').value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const owner = $('owner') ? $('owner').value : '';
    return wave.rows.filter(r => (!owner || T[r[OWNER]] === owner) && matches(r, words));
  }

  function filter() {
    const narrowed = $('q').value.trim() !== '' || ($('owner') && $('owner').value !== '');
    let all = 0;
    for (const wave of data.waves) {
      const box = $('list-' + wave.id);
      const rows = matching(wave);
      all += rows.length;
      box.querySelector('.count').textContent = narrowed ? t('{1} of {2}', num(rows.length), num(wave.rows.length)) : num(wave.rows.length);
      if (box.open) fill(box, wave, rows);
    }
    $('found').textContent = narrowed ? all === 1 ? t('1 instance fits') : t('{1} instances fit', num(all)) : '';
  }

  for (const wave of data.waves) {
    const box = $('list-' + wave.id);
    box.addEventListener('toggle', () => {
      if (box.open) fill(box, wave, matching(wave));
      else box.querySelector('.list').replaceChildren();
    });
    if (box.open) fill(box, wave, wave.rows);
  }
  if ($('owner')) {
    const owners = new Set();
    for (const wave of data.waves) for (const row of wave.rows) owners.add(T[row[OWNER]]);
    for (const name of [...owners].sort()) $('owner').append(new Option(name, name));
  }
  let wait = 0;
  $('filters').addEventListener('input', () => { clearTimeout(wait); wait = setTimeout(filter, 120); });
  $('filters').addEventListener('submit', e => { e.preventDefault(); filter(); });
  $('filters').hidden = false;
})();
