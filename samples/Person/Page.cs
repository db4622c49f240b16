using System.Net;
using System.Text;
using System.Text.RegularExpressions;

namespace Person;

/// <param name="Fields">Hidden and filled-in fields, and the boxes that are ticked.</param>
/// <param name="AsksPassword">Whether a password is typed into it.</param>
internal sealed record Form(string Action, IReadOnlyList<KeyValuePair<string, string>> Fields, bool AsksPassword, IReadOnlyList<Button> Buttons);

/// <param name="Label">What it says, or what is said of it to those who do not see it.</param>
internal sealed record Button(string? Name, string Value, string Label);

/// <summary>A page of HTML as our server writes it; no other is understood.</summary>
internal sealed partial class Page(Uri address, HttpStatusCode status, string html)
{
    private static readonly HashSet<string> Blocks =
        ["p", "h1", "h2", "ul", "li", "div", "dl", "dt", "fieldset", "legend", "blockquote", "form", "button", "label"];

    public Uri Address { get; } = address;
    public HttpStatusCode Status { get; } = status;

    public IReadOnlyList<Form> Forms => [.. FormElement().Matches(html).Select(m => ReadForm(m.Groups[1].Value, m.Groups[2].Value))];

    /// <summary>Where its links lead.</summary>
    public IReadOnlyList<Uri> Links => [.. LinkElement().Matches(html).Select(m => Attribute(m.Value, "href")).OfType<string>().Select(to => new Uri(Address, to))];

    /// <summary>What stands on it, line by line, indented as its lists are.</summary>
    public IReadOnlyList<string> Lines()
    {
        var lines = new List<string>();
        var line = new StringBuilder();
        int depth = 0;
        void Break()
        {
            string text = Space().Replace(line.ToString(), " ").Trim();
            if (text.Length > 0) lines.Add(new string(' ', 2 * Math.Max(0, depth - 1)) + text);
            line.Clear();
        }
        foreach (Match token in Token().Matches(MainElement().Match(html) is { Success: true } main ? main.Groups[1].Value : ""))
        {
            if (token.Value[0] != '<')
            {
                line.Append(WebUtility.HtmlDecode(token.Value));
                continue;
            }
            (string name, bool opens) = (token.Groups[2].Value.ToLowerInvariant(), token.Groups[1].Length == 0);
            if (name == "button" && !opens) line.Append(" ]");
            if (Blocks.Contains(name)) Break();
            if (name is "ul" or "fieldset") depth += opens ? 1 : -1;
            if (name == "button") line.Append(opens ? "[ " : "");
            if (name == "dt" && !opens && lines.Count > 0)
            {
                // A term stands on one line with what is said of it.
                line.Append(lines[^1].TrimStart()).Append(": ");
                lines.RemoveAt(lines.Count - 1);
            }
            if (name == "input" && Attribute(token.Value, "type") == "checkbox") line.Append(Attribute(token.Value, "checked") is null ? "[ ] " : "[x] ");
        }
        Break();
        return lines;
    }

    private static Form ReadForm(string attributes, string content)
    {
        var fields = new List<KeyValuePair<string, string>>();
        bool password = false;
        foreach (Match input in InputElement().Matches(content))
        {
            string type = Attribute(input.Value, "type") ?? "text";
            if (type == "password") password = true;
            else if (Attribute(input.Value, "name") is { } name && (type != "checkbox" || Attribute(input.Value, "checked") is not null))
                fields.Add(new(name, Attribute(input.Value, "value") ?? ""));
        }
        return new(Attribute(attributes, "action") ?? "", fields, password, [.. ButtonElement().Matches(content).Select(m => new Button(
            Attribute(m.Groups[1].Value, "name"), Attribute(m.Groups[1].Value, "value") ?? "", Attribute(m.Groups[1].Value, "aria-label") ?? WebUtility.HtmlDecode(m.Groups[2].Value).Trim()))]);
    }

    private static string? Attribute(string tag, string name) =>
        AttributePair().Matches(tag).FirstOrDefault(m => m.Groups[1].Value == name) is { } match ? WebUtility.HtmlDecode(match.Groups[2].Value) : null;

    [GeneratedRegex(@"<main\b[^>]*>(.*?)</main>", RegexOptions.Singleline)]
    private static partial Regex MainElement();

    [GeneratedRegex(@"<a\b[^>]*>")]
    private static partial Regex LinkElement();

    [GeneratedRegex(@"<form\b([^>]*)>(.*?)</form>", RegexOptions.Singleline)]
    private static partial Regex FormElement();

    [GeneratedRegex("<input\\b[^>]*>")]
    private static partial Regex InputElement();

    [GeneratedRegex(@"<button\b([^>]*)>(.*?)</button>", RegexOptions.Singleline)]
    private static partial Regex ButtonElement();

    [GeneratedRegex("""([a-z][a-z-]*)(?:="([^"]*)")?""")]
    private static partial Regex AttributePair();

    [GeneratedRegex(@"<(/?)([a-zA-Z0-9]+)[^>]*>|<!--.*?-->|[^<]+", RegexOptions.Singleline)]
    private static partial Regex Token();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Space();
}
