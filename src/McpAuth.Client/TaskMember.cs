using System.Buffers;
using System.Text;
using System.Text.Json;
using McpAuth.Protocol;

namespace McpAuth.Client;

/// <summary>The <c>task</c> member of <c>authorization_details</c>: the id of a task that runs, or what a new one is for.</summary>
internal static class TaskMember
{
    /// <summary>All that the task holds at one location, as a request that names the task.</summary>
    public static string Details(JsonElement authority, string resource, string taskId)
    {
        var output = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(output))
        {
            writer.WriteStartArray();
            bool found = false;
            foreach (JsonElement entry in authority.EnumerateArray().Where(e => IsAt(e, resource)))
            {
                Entry(writer, entry, task => task.WriteString("id", taskId));
                found = true;
            }
            if (!found)
            {
                // Not this task's: the server refuses, and says so better than we could.
                writer.WriteStartObject();
                writer.WriteString("type", Names.Resources.McpToolCall);
                writer.WriteStartArray("locations");
                writer.WriteStringValue(resource);
                writer.WriteEndArray();
                writer.WriteStartObject(Names.Claims.Task);
                writer.WriteString("id", taskId);
                writer.WriteEndObject();
                writer.WriteEndObject();
            }
            writer.WriteEndArray();
        }
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    /// <summary>This authority, as a request for a narrower token of a task that runs.</summary>
    public static string Within(JsonElement authority, string taskId) => All(authority.EnumerateArray(), task => task.WriteString("id", taskId));

    /// <summary>The whole authority, as a request for a new task.</summary>
    public static string NewDetails(JsonElement authority, string purpose, DateTimeOffset? expiresAt) => All(authority.EnumerateArray(), task =>
    {
        task.WriteString("purpose", purpose);
        if (expiresAt is { } end) task.WriteString("expires_at", end);
    });

    /// <summary>All that a person handed over at one location, as a request for a new task that outlives its instance.</summary>
    public static string ResumableDetails(JsonElement authority, string resource, string purpose) => All(authority.EnumerateArray().Where(e => IsAt(e, resource)), task =>
    {
        task.WriteString("purpose", purpose);
        task.WriteBoolean("resumable", true);
    });

    /// <summary>The first location that the entries name, or null.</summary>
    public static string? FirstLocation(JsonElement? details) =>
        details is { ValueKind: JsonValueKind.Array } array && array.EnumerateArray().FirstOrDefault() is { ValueKind: JsonValueKind.Object } entry
        && entry.TryGetProperty("locations", out JsonElement locations) && locations.ValueKind == JsonValueKind.Array
        && locations.EnumerateArray().FirstOrDefault() is { ValueKind: JsonValueKind.String } first ? first.GetString() : null;

    /// <summary>The task that a token's <c>authorization_details</c> name, or null.</summary>
    public static string? IdIn(JsonElement? details) =>
        details is { ValueKind: JsonValueKind.Array } array && array.GetArrayLength() > 0
        && array[0].ValueKind == JsonValueKind.Object && array[0].TryGetProperty(Names.Claims.Task, out JsonElement task)
        && task.ValueKind == JsonValueKind.Object && task.TryGetProperty("id", out JsonElement id) && id.ValueKind == JsonValueKind.String
            ? id.GetString() : null;

    private static string All(IEnumerable<JsonElement> entries, Action<Utf8JsonWriter> task)
    {
        var output = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(output))
        {
            writer.WriteStartArray();
            foreach (JsonElement entry in entries) Entry(writer, entry, task);
            writer.WriteEndArray();
        }
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    private static bool IsAt(JsonElement entry, string resource) =>
        entry.TryGetProperty("locations", out JsonElement locations) && locations.ValueKind == JsonValueKind.Array
        && locations.EnumerateArray().Any(l => l.ValueKind == JsonValueKind.String && l.GetString() == resource);

    // What the entry says of a task is replaced.
    private static void Entry(Utf8JsonWriter writer, JsonElement entry, Action<Utf8JsonWriter> task)
    {
        writer.WriteStartObject();
        foreach (JsonProperty member in entry.EnumerateObject().Where(m => m.Name != Names.Claims.Task)) member.WriteTo(writer);
        writer.WriteStartObject(Names.Claims.Task);
        task(writer);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }
}
