'use strict';
// The reader's own time beside UTC, in every page and file; t says a text in the
// reader's language.
const localTimes = (root, t) => {
  for (const moment of root.querySelectorAll('time[datetime]')) {
    const at = new Date(moment.dateTime);
    if (isNaN(at) || at.getTimezoneOffset() === 0) continue;
    const two = n => String(n).padStart(2, '0');
    const clock = two(at.getHours()) + ':' + two(at.getMinutes());
    const same = at.getDate() === at.getUTCDate();
    const own = document.createElement('span');
    own.className = 'local';
    own.textContent = ' ' + t('({1} here)', (same ? '' : at.getFullYear() + '-' + two(at.getMonth() + 1) + '-' + two(at.getDate()) + ' ') + clock);
    moment.append(own);
  }
};
