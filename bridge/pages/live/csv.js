/** CSV: rows as a text that spreadsheets and programs read (RFC 4180). */

/**
 * @param {string[]} heads
 * @param {Array<Array<string | number | boolean | null | undefined>>} rows
 */
export function csv(heads, rows) {
    return [heads, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

function cell(value) {
    if (value === null || value === undefined) {
        return "";
    }
    let text = String(value);
    // A spreadsheet would run a name such as =HYPERLINK(…).
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) {
        text = `'${text}`;
    }
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
