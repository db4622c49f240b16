using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Registry;

namespace McpAuthServer.Pages.Wording;

/// <summary>What a tool can do, and how far an authority over it goes.</summary>
internal static class ToolWording
{
    /// <summary>From the least to the most that can be done; whatever is not known counts as the most.</summary>
    public static readonly IReadOnlyList<string> Sensitivities = ["read", "write", "destructive"];

    public static string SensitivityOf(ToolRecord? tool) => tool is null ? "read" : Sensitivities.Contains(tool.Sensitivity) ? tool.Sensitivity : "destructive";

    /// <summary>Heads the tools of one kind.</summary>
    public static string Heading(string sensitivity) => sensitivity switch { "read" => "Read", "write" => "Change", _ => "Delete or destroy" };

    /// <summary>Stands beside a tool that does more than read.</summary>
    public static string? Can(string sensitivity) => sensitivity switch { "read" => null, "write" => "can change data", _ => "can destroy data" };

    /// <param name="limits">Null: none, as by scope.</param>
    public static IReadOnlyList<Worded> Limits(ToolAuthority? limits, bool approvalByRegistry)
    {
        var lines = new List<Worded>();
        if (limits is null || limits.Args.Count == 0)
            lines.Add(new("Any arguments"));
        else
        {
            foreach (var (name, constraint) in limits.Args)
            {
                var words = ConstraintWording.Of(constraint);
                var (before, after) = (ShownText.Name(name) + " ", limits.Optional.Contains(name) ? " (may be left out)" : "");
                lines.Add(new(before + words.Short + after, words.Full is null ? null : before + words.Full + after));
            }
            lines.Add(new("Only these arguments"));
        }
        if (limits?.MaxCalls is { } calls)
            lines.Add(new(calls switch { 0 => "No calls", 1 => "At most 1 call", _ => $"At most {calls} calls" }));
        if (limits?.ApprovalRequired == true || approvalByRegistry)
            lines.Add(new("Asks you before each call"));
        return lines;
    }
}
