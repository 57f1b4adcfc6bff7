// The instance table of the report: reads the rows that stand in the page as
// JSON, filters and sorts them, shows one page at a time. It writes text only
// through textContent.
(() => {
  const PAGE = 50;
  const RANK = {incompatible: 3, unknown: 2, 'needs-action': 1, compatible: 0};
  const SIGN = {incompatible: '\u2715', unknown: '?', 'needs-action': '!', compatible: '\u2713'};
  const $ = id => document.getElementById(id);
  // The texts of this script in the reader's language, as the server put them
  // into the page; English where it put none.
  const texts = JSON.parse(document.body.dataset.texts || '{}');
  const t = (s, ...values) => (texts[s] || s).replace(/\{(\d)\}/g, (_, n) => values[n - 1]);
  localTimes(document, t);
  // What a terminal must not see, a page should not either: controls and
  // characters that turn text around are spelled out.
  const clean = s => String(s).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]|(?!\u200d)\p{Cf}/gu,
    c => '\\u' + c.codePointAt(0).toString(16).padStart(4, '0'));
  const el = (tag, cls, text) => {
    const e = document.createElement(tag);
    if (cls) e.className = cls;
    if (text !== undefined && text !== '') e.textContent = clean(text);
    return e;
  };
  const num = n => n.toLocaleString('en-US');
  // Places in a row: what reportRow in encode.go writes.
  const SCOPE = 0, ZONE = 1, ID = 2, NAME = 3, TYPE = 4, IMAGE = 5, STATUS = 6, PROFILE = 7, SEEN = 8, TAGS = 9, GONE = 10;

  const rows = [];
  let dict, shown = [], page = 0, sortKey = '', sortDown = false;

  const badge = v => {
    const b = el('span', 'v v-' + v);
    const sign = el('i', '', SIGN[v] || '');
    sign.setAttribute('aria-hidden', 'true');
    b.append(sign, el('span', 'w', t(v)));
    return b;
  };

  // Reads the blocks a few at a time, so that the page stays alive.
  async function load() {
    dict = JSON.parse($('dict').textContent);
    let last = performance.now();
    for (const block of document.querySelectorAll('script.rows')) {
      for (const row of JSON.parse(block.textContent)) rows.push(row);
      block.remove();
      if (performance.now() - last > 30) {
        await new Promise(done => setTimeout(done));
        last = performance.now();
      }
    }
    prepare();
  }

  function prepare() {
    for (const v of dict.verdicts) {
      v.source = dict.strings[v.source];
      v.remedies = v.remedies.map(i => dict.remedies[i]);
    }
    for (const p of dict.profiles) {
      p.verdicts = p.verdicts.map(i => dict.verdicts[i]);
      p.rank = -1;
      for (const v of p.verdicts) p.rank = Math.max(p.rank, RANK[v.verdict]);
      p.text = (p.name + ' ' + p.os.family + ' ' + p.os.version + ' ' + p.os.kernel).toLowerCase();
    }
    dict.typeText = dict.types.map(row => (row[0] + ' ' + row[1]).toLowerCase());
    dict.imageText = dict.images.map(i => i[0].toLowerCase());
    dict.stringText = dict.strings.map(s => s.toLowerCase());
    const fill = (id, values) => {
      for (const v of [...new Set(values)].filter(Boolean).sort()) $(id).append(new Option(clean(v), v));
    };
    fill('os', dict.profiles.map(p => p.name));
    fill('account', dict.scopes.map(s => s[0]));
    fill('region', dict.scopes.map(s => s[1]));
    fill('family', dict.types.map(row => row[1]));
  }

  function filter() {
    const q = $('q').value.trim().toLowerCase(), target = +$('target').value, verdict = $('verdict').value;
    const os = $('os').value, account = $('account').value, region = $('region').value, family = $('family').value, legacy = $('legacy').checked;
    const okProfile = dict.profiles.map(p =>
      (!os || p.name === os) && (!legacy || p.legacy) &&
      (!verdict || (target >= 0 ? p.verdicts[target] && p.verdicts[target].verdict === verdict : p.verdicts.some(v => v.verdict === verdict))));
    const okScope = dict.scopes.map(s => (!account || s[0] === account) && (!region || s[1] === region));
    const okType = dict.types.map(row => !family || row[1] === family);
    const has = list => list.map(s => !!q && s.includes(q));
    const inProfile = has(dict.profiles.map(p => p.text)), inType = has(dict.typeText), inImage = has(dict.imageText), inStrings = has(dict.stringText);
    const inTags = r => { for (const i of r[TAGS]) if (typeof i === 'number' ? inStrings[i] : i.toLowerCase().includes(q)) return true; return false; };
    shown = [];
    for (let i = 0; i < rows.length; i++) {
      const r = rows[i];
      if (!okProfile[r[PROFILE]] || !okScope[r[SCOPE]] || !okType[r[TYPE]]) continue;
      if (q && !inProfile[r[PROFILE]] && !inType[r[TYPE]] && !inImage[r[IMAGE]] && !inTags(r) &&
        !r[ID].toLowerCase().includes(q) && !r[NAME].toLowerCase().includes(q)) continue;
      shown.push(i);
    }
    sort();
  }

  // Rows arrive worst first, then by account, region and id; equal keys keep
  // that order.
  function sort() {
    const by = (list, key) => {
      const order = list.map((_, i) => i).sort((a, b) => key(list[a]) < key(list[b]) ? -1 : key(list[a]) > key(list[b]) ? 1 : 0);
      const place = new Array(list.length);
      order.forEach((at, i) => { place[at] = i && key(list[at]) === key(list[order[i - 1]]) ? place[order[i - 1]] : i; });
      return place;
    };
    let key;
    if (sortKey === 'id') key = i => rows[i][ID];
    else if (sortKey === 'name') key = i => rows[i][NAME];
    else if (sortKey === 'scope') { const place = by(dict.scopes, s => s[0] + ' ' + s[1]); key = i => place[rows[i][SCOPE]]; }
    else if (sortKey === 'type') { const place = by(dict.types, row => row[0]); key = i => place[rows[i][TYPE]]; }
    else if (sortKey === 'os') { const place = by(dict.profiles, p => p.name); key = i => place[rows[i][PROFILE]]; }
    else {
      const target = sortKey === '' ? +$('target').value : +sortKey;
      const rank = dict.profiles.map(p => -(target >= 0 ? (p.verdicts[target] ? RANK[p.verdicts[target].verdict] : -1) : p.rank));
      key = i => rank[rows[i][PROFILE]];
    }
    const keys = new Array(rows.length);
    for (const i of shown) keys[i] = key(i);
    const dir = sortDown ? -1 : 1;
    shown.sort((a, b) => keys[a] < keys[b] ? -dir : keys[a] > keys[b] ? dir : a - b);
    page = 0;
    draw();
  }

  function draw() {
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    page = Math.min(Math.max(0, page), pages - 1);
    const body = document.createDocumentFragment();
    for (const i of shown.slice(page * PAGE, page * PAGE + PAGE)) body.append(line(i));
    if (!shown.length) {
      const td = el('td', 'empty', t('No instance matches these filters.'));
      td.colSpan = 99;
      const tr = el('tr');
      tr.append(td);
      body.append(tr);
    }
    $('rows').replaceChildren(body);
    $('found').textContent = t('{1} of {2}', num(shown.length), num(rows.length));
    $('status').textContent = t('{1} instances found', num(shown.length));
    $('where').textContent = t('Page {1} of {2}', num(page + 1), num(pages));
    $('prev').disabled = page === 0;
    $('next').disabled = page >= pages - 1;
    for (const th of document.querySelectorAll('#table th[data-sort]')) {
      if (th.dataset.sort === sortKey) th.setAttribute('aria-sort', sortDown ? 'descending' : 'ascending');
      else th.removeAttribute('aria-sort');
    }
  }

  function line(i) {
    const r = rows[i], p = dict.profiles[r[PROFILE]], tr = el('tr', 'row');
    const open = el('button', 'id', r[ID]);
    open.type = 'button';
    open.setAttribute('aria-expanded', 'false');
    open.addEventListener('click', () => toggle(open, tr, r));
    const cell = el('td', 'nw');
    cell.append(open, el('span', 'narrow', r[NAME]), el('span', 'narrow', p.name + (p.legacy ? ' ' + t('(legacy)') : '')));
    tr.append(cell);
    const name = el('td', 'cut opt', r[NAME]);
    name.title = r[NAME];
    tr.append(name, el('td', 'opt nw', dict.scopes[r[SCOPE]].join(' / ')), el('td', 'opt nw', dict.types[r[TYPE]][0]));
    const os = el('td', 'opt', p.name);
    if (p.legacy) os.append(' ', el('span', 'tag', t('legacy')));
    tr.append(os);
    for (const v of p.verdicts) {
      const td = el('td');
      td.append(badge(v.verdict));
      tr.append(td);
    }
    return tr;
  }

  function toggle(button, tr, r) {
    const open = button.getAttribute('aria-expanded') === 'true';
    button.setAttribute('aria-expanded', String(!open));
    if (open) { tr.nextSibling.remove(); return; }
    const row = el('tr', 'detail'), td = el('td');
    td.colSpan = 99;
    td.append(detail(r));
    row.append(td);
    tr.after(row);
  }

  function detail(r) {
    const grid = el('div', 'detail-grid'), p = dict.profiles[r[PROFILE]], kind = dict.types[r[TYPE]], image = dict.images[r[IMAGE]];
    const facts = el('dl', 'facts');
    const fact = (k, v) => { if (v) facts.append(el('dt', '', t(k)), el('dd', '', v)); };
    const time = s => s > 0 ? new Date(s * 1000).toISOString().slice(0, 16).replace('T', ' ') + ' UTC' : '';
    fact('name', r[NAME]);
    fact('account / region', dict.scopes[r[SCOPE]].join(' / '));
    fact('zone', dict.strings[r[ZONE]]);
    fact('type', kind[0] + (kind[3] ? ', ' + kind[3] + ' vCPU' : '') + (kind[4] ? ', ' + kind[4] + ' MiB' : '') + (kind[2] ? ', ' + kind[2] : ''));
    fact('status', dict.strings[r[STATUS]]);
    fact('image', image[0] + (image[1] ? ' (' + image[1] + ')' : ''));
    const os = p.os;
    fact('operating system', [p.name, os.service_pack && 'SP' + os.service_pack, os.edition, os.arch].filter(Boolean).join(' '));
    fact('kernel', os.kernel);
    fact('evidence', os.evidence);
    for (const c of p.conflicts || []) fact('conflict', t('{1}: took {2}, but {3} says {4} ({5})', c.field, c.chosen, t(c.evidence), c.other, c.text));
    const tags = r[TAGS], text = i => typeof i === 'number' ? dict.strings[i] : i;
    for (let i = 0; i < tags.length; i += 2) fact('tag ' + text(tags[i]), text(tags[i + 1]) || '(empty)');
    fact('seen', time(r[SEEN]));
    fact('gone', time(r[GONE]));
    const left = el('div');
    left.append(facts);
    grid.append(left);
    // Targets with the same answer share one text.
    const groups = [];
    for (const v of p.verdicts) {
      const key = JSON.stringify([v.verdict, v.confidence, v.reason, v.remedies, v.checks, v.waiver]);
      const same = groups.find(g => g.key === key);
      if (same) same.targets.push(v.target);
      else groups.push({key, v, targets: [v.target]});
    }
    for (const g of groups) grid.append(verdict(g.v, g.targets));
    return grid;
  }

  function verdict(v, targets) {
    const box = el('div'), head = el('h3');
    head.append(badge(v.verdict), ' ', t('on'), ' ', el('code', '', targets.join(', ')), ' ', el('span', 'muted', t('({1} confidence)', t(v.confidence))));
    box.append(head, el('p', '', v.reason));
    if (v.waiver) box.append(el('p', 'muted', t('Waived until {1} by {2} (was {3}): {4}', v.waiver.until, v.waiver.id, t(v.waiver.was), v.waiver.reason)));
    for (const m of v.remedies) {
      const p = el('p');
      p.append(el('strong', '', m.id + (m.to ? ' ' + t('to {1}', m.to) : '') + (m.families ? ': ' + m.families.join(', ') : '')), clean(': ' + m.text));
      box.append(p);
      if (m.steps) {
        const fold = el('details'), ol = el('ol');
        for (const s of m.steps) ol.append(el('li', '', s));
        fold.append(el('summary', '', m.steps.length === 1 ? t('1 step') : t('{1} steps', m.steps.length)), ol);
        box.append(fold);
      }
      if (m.benefit) box.append(el('p', 'muted', t('Benefit: {1}', m.benefit)));
      if (m.drawback) box.append(el('p', 'muted', t('Drawback: {1}', m.drawback)));
    }
    if (v.checks.length) box.append(el('p', 'muted', t('Before the move: {1}', v.checks.join(', '))));
    box.append(el('p', 'muted', v.source ? t('Rule {1}, source: {2}', v.rule, v.source) : t('Rule {1}', v.rule)));
    return box;
  }

  function wire() {
    let wait = 0;
    $('filters').addEventListener('input', () => { clearTimeout(wait); wait = setTimeout(filter, 80); });
    $('filters').addEventListener('reset', () => setTimeout(filter));
    $('filters').addEventListener('submit', e => { e.preventDefault(); filter(); });
    $('prev').addEventListener('click', () => { page--; draw(); });
    $('next').addEventListener('click', () => { page++; draw(); });
    for (const th of document.querySelectorAll('#table th[data-sort]')) {
      const b = el('button', '', th.textContent);
      b.type = 'button';
      b.addEventListener('click', () => {
        if (sortKey === th.dataset.sort) sortDown = !sortDown;
        else { sortKey = th.dataset.sort; sortDown = false; }
        sort();
      });
      th.replaceChildren(b);
    }
    $('filters').hidden = $('pager').hidden = false;
  }

  load().then(() => {
    wire();
    filter();
    document.documentElement.dataset.ready = String(Math.round(performance.now()));
  });
})();
