// SPDX-License-Identifier: Apache-2.0
// Reads JSON, as far as the tests need it: a member of the name "request" stays text.
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;

sealed class Json
{
    readonly string s;
    int at;
    Json(string s) { this.s = s; }
    public static object Read(string s) { return new Json(s).Value(); }

    char Next() { while (char.IsWhiteSpace(s[at])) at++; return s[at]; }

    object Value()
    {
        var c = Next();
        if (c == '{') return Object();
        if (c == '[') return List();
        if (c == '"') return Text();
        var from = at;
        while (at < s.Length && ",]} \n".IndexOf(s[at]) < 0) at++;
        var word = s.Substring(from, at - from);
        if (word == "true" || word == "false") return word == "true";
        return word == "null" ? null : (object)double.Parse(word, CultureInfo.InvariantCulture);
    }

    List<object> List()
    {
        var list = new List<object>();
        for (at++; Next() != ']';) {
            list.Add(Value());
            if (Next() == ',') at++;
        }
        at++;
        return list;
    }

    Dictionary<string, object> Object()
    {
        var all = new Dictionary<string, object>();
        for (at++; Next() != '}';) {
            var key = Text();
            Next();
            at++;
            Next();
            var from = at;
            var value = Value();
            all[key] = key == "request" ? s.Substring(from, at - from) : value;
            if (Next() == ',') at++;
        }
        at++;
        return all;
    }

    string Text()
    {
        var text = new StringBuilder();
        for (at++; s[at] != '"'; at++) {
            if (s[at] != '\\') { text.Append(s[at]); continue; }
            at++;
            if (s[at] == 'u') { text.Append((char)int.Parse(s.Substring(at + 1, 4), NumberStyles.HexNumber)); at += 4; continue; }
            var which = "bfnrt".IndexOf(s[at]);
            text.Append(which < 0 ? s[at] : "\b\f\n\r\t"[which]);
        }
        at++;
        return text.ToString();
    }

    /// A value as text, with the members of objects in order: equal values have equal texts.
    public static string Write(object x)
    {
        var d = x as Dictionary<string, object>;
        if (d != null) return "{" + string.Join(", ", d.OrderBy(m => m.Key, System.StringComparer.Ordinal).Select(m => m.Key + ": " + Write(m.Value))) + "}";
        var text = x as string;
        if (text != null) return "\"" + text + "\"";
        var list = x as System.Collections.IEnumerable;
        if (list != null) return "[" + string.Join(", ", list.Cast<object>().Select(Write)) + "]";
        return x == null ? "null" : System.Convert.ToDouble(x).ToString("R", CultureInfo.InvariantCulture);
    }
}
