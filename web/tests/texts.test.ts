// Numbers that JavaScript would change, and characters that hide or reorder others.
import { expect, test } from "vitest";
import { exactObject, hasExactNumbers, isExact, pretty, visible, visibleJSON } from "../src/texts";

test.each([
  ...["0", "7", "-7", "10", "1.0", "0.1", "1.50", ".5", "1e5", "1E+21", "1e-7", "123456789012345680000", "9007199254740992"],
  ...["5e-324", "1.7976931348623157e308", "0.30000000000000004"],
])("%s keeps its value", (written) => expect(isExact(written)).toBe(true));

test.each([
  ...["12345678901234567891", "9007199254740993", "1e400", "-1e400", "1e-400", "-0", "0.1000000000000000055511151231257827"],
  ...["", "-", ".", "NaN", `1${"0".repeat(100)}`],
])("%s does not", (written) => expect(isExact(written)).toBe(false));

test("only the numbers outside of strings count", () => {
  const text = String.raw`{"9007199254740993": "\"9007199254740993", "a\\": [1, {"b": -2.50e3}], "c": "\\\"1e400"}`;
  expect(hasExactNumbers(text)).toBe(true);
  expect(hasExactNumbers(text.replace("-2.50e3", "9007199254740993"))).toBe(false);
  expect(hasExactNumbers(`{"a": "${"\\\\".repeat(500_000)}", "b": 1e400}`)).toBe(false); // in linear time
});

test("no number is shown other than it is written", () => {
  const text = '{"to":12345678901234567891,"amount":1e400,"id":9007199254740993}';
  for (const number of ["12345678901234567891", "1e400", "9007199254740993"]) expect(pretty(text)).toContain(number);
  const object = exactObject(text); // undefined where there is no JSON.rawJSON
  expect(object === undefined || JSON.stringify(object) === text).toBe(true);
  expect(JSON.stringify(exactObject('{"a": [1, "x"]}'))).toBe('{"a":[1,"x"]}');
  for (const other of ["[1]", "5", '"a"', "null", "{", ""]) expect(exactObject(other)).toBeUndefined();
});

test("what hides or reorders text is written as codes, in JSON with the same value", () => {
  expect(visible("a\u202eb\u{e0041}")).toBe(String.raw`a\u{202e}b\u{e0041}`);
  const text = JSON.stringify({ a: "x\u202ey\u{e0041}\u200b" });
  expect(visibleJSON(text)).toBe(String.raw`{"a":"x\u202ey\udb40\udc41\u200b"}`);
  expect(JSON.parse(visibleJSON(text))).toEqual(JSON.parse(text));
});
