// SPDX-License-Identifier: MIT
// Runs before the first paint (a plain script, not a module), so that a page never flashes in the
// wrong theme: the one chosen here, or the system's. Event "themechange" on window: choose again.
(function () {
    const system = matchMedia('(prefers-color-scheme: light)');
    function apply() {
        let chosen = null;
        try {
            chosen = localStorage.getItem('phosphene.theme');
        } catch {
            // storage is refused: the system's theme it is
        }
        document.documentElement.dataset.theme = chosen ?? (system.matches ? 'light' : 'dark');
    }
    apply();
    system.addEventListener('change', apply);
    addEventListener('themechange', apply);
})();
