using System.Globalization;
using System.Text.Json;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using Spectre.Console;

namespace Samples;

/// <summary>What the run shows. Colour only on a terminal; the same text either way.</summary>
internal sealed class Report
{
    private readonly IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
    {
        Ansi = Console.IsOutputRedirected ? AnsiSupport.No : AnsiSupport.Detect,
        ColorSystem = Console.IsOutputRedirected ? ColorSystemSupport.NoColors : ColorSystemSupport.Detect,
    });
    private readonly List<string> failures = [];

    public Report()
    {
        // Into a pipe or a file there is no width to fit.
        if (Console.IsOutputRedirected) console.Profile.Width = 160;
    }

    public IReadOnlyList<string> Failures => failures;

    public void Step(string text)
    {
        console.WriteLine();
        console.MarkupLineInterpolated($"[bold]{text}[/]");
    }

    public void Line(string text) => console.MarkupLineInterpolated($"  {text}");

    /// <summary>One thing that had to turn out in one way.</summary>
    public void Check(bool asExpected, string what, string outcome)
    {
        if (!asExpected) failures.Add($"{what}: {outcome}");
        console.MarkupInterpolated($"  {what}: ");
        if (asExpected) console.MarkupLineInterpolated($"[green]{outcome}[/]");
        else console.MarkupLineInterpolated($"[red]{outcome}  <- not as it should be[/]");
    }

    /// <summary>The token's claims. They are read here to be shown; a client has no other business with them.</summary>
    public JsonDocument Token(string token)
    {
        byte[] payload = System.Buffers.Text.Base64Url.DecodeFromChars(token.Split('.')[1]);
        JsonDocument claims = JsonDocument.Parse(payload);
        console.WriteLine(JsonSerializer.Serialize(claims.RootElement, Indented));
        return claims;
    }

    public void Story(TaskStory story)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumns("ms", "event", "for", "by", "outcome", "tool", "reason", "token");
        table.Columns[0].RightAligned();
        // On a narrow terminal only the reason gives way.
        foreach (TableColumn column in table.Columns.Where((_, i) => i != 6)) column.NoWrap();
        // The log has them in the order of their arrival; guards deliver in batches, so their records come a little later than they happened.
        AuditEvent[] events = [.. story.Events.OrderBy(e => e.Time)];
        long start = events.Length > 0 ? events[0].Time : 0;
        foreach (AuditEvent e in events)
        {
            string colour = e.Outcome is "allow" or "success" ? "green" : "red";
            table.AddRow(
                new Text((e.Time - start).ToString(CultureInfo.InvariantCulture)), new Text(e.Type), new Text(e.User ?? ""), new Text(By(e)),
                new Text(e.Outcome, Style.Parse(colour)),
                new Text(e.Tool ?? ""), new Text(e.Reason ?? ""), new Text(Short(e.Jti)));
        }
        console.Write(table);
    }

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // Who acts, and for which agents: the chain, outermost first.
    private static string By(AuditEvent e) => e.Chain is { Count: > 1 } chain ? string.Join(" for ", chain) : e.Agent ?? "";

    // The end of a time-ordered id is what differs.
    private static string Short(string? id) => id is { Length: > 16 } ? $"…{id[^6..]}" : id ?? "";
}
