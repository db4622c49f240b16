using System.Globalization;
using System.Text.Json;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>The <c>task</c> member: <c>{"id"}</c> of a running task, or <c>{"purpose","expires_at"?,"resumable"?}</c> of a new one.</summary>
internal static class TaskRequestReader
{
    private static readonly string[] Known = [Grammar.Id, Grammar.Purpose, Grammar.ExpiresAt, Grammar.Resumable];
    private static readonly string[] Formats = ["yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK"];

    public static TaskRequest? Read(JsonElement element, JsonPath path, Faults faults)
    {
        if (Members.Read(element, path, faults, Known) is not { } members)
            return null;
        if (members[Grammar.Id] is not null)
        {
            return members.Count == 1 && Text(members, Grammar.Id) is { } id
                ? new(id, null, null)
                : faults.Add<TaskRequest>(path.Member(Grammar.Id), "The id of a running task stands alone.");
        }
        if (Text(members, Grammar.Purpose) is not { } purpose)
            return faults.Add<TaskRequest>(path.Member(Grammar.Purpose), "A new task has a purpose.");
        if (members[Grammar.Resumable] is { ValueKind: not (JsonValueKind.True or JsonValueKind.False) })
            return faults.Add<TaskRequest>(path.Member(Grammar.Resumable), "true or false is expected.");
        var resumable = members[Grammar.Resumable] is { ValueKind: JsonValueKind.True };
        if (members[Grammar.ExpiresAt] is null)
            return new(null, purpose, null, resumable);
        return Text(members, Grammar.ExpiresAt) is { } text && Time(text) is { } expiresAt
            ? new(null, purpose, expiresAt, resumable)
            : faults.Add<TaskRequest>(path.Member(Grammar.ExpiresAt), "A time of RFC 3339 is expected.");
    }

    private static string? Text(Members members, string name) =>
        members[name] is { ValueKind: JsonValueKind.String } element && element.GetString() is { Length: > 0 and <= Grammar.MaxTextLength } text
            ? text
            : null;

    // RFC 3339 §5.6 requires an offset. Without one the parser would take the machine's own zone.
    private static DateTimeOffset? Time(string text) =>
        (text.EndsWith('Z') || text.LastIndexOfAny(['+', '-']) > text.IndexOf('T', StringComparison.Ordinal))
            && DateTimeOffset.TryParseExact(text, Formats, CultureInfo.InvariantCulture, DateTimeStyles.None, out var time)
                ? time.ToUniversalTime()
                : null;
}
