using System.Buffers;
using System.Text;
using System.Text.Json;
using McpAuth.Protocol;

namespace McpAuth.Client;

/// <summary>The <c>task</c> member of <c>authorization_details</c> where it names a task that runs.</summary>
internal static class RunningTask
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
                writer.WriteStartObject();
                foreach (JsonProperty member in entry.EnumerateObject().Where(m => m.Name != Names.Claims.Task)) member.WriteTo(writer);
                Name(writer, taskId);
                writer.WriteEndObject();
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
                Name(writer, taskId);
                writer.WriteEndObject();
            }
            writer.WriteEndArray();
        }
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    /// <summary>The task that a token's <c>authorization_details</c> name, or null.</summary>
    public static string? IdIn(JsonElement? details) =>
        details is { ValueKind: JsonValueKind.Array } array && array.GetArrayLength() > 0
        && array[0].ValueKind == JsonValueKind.Object && array[0].TryGetProperty(Names.Claims.Task, out JsonElement task)
        && task.ValueKind == JsonValueKind.Object && task.TryGetProperty("id", out JsonElement id) && id.ValueKind == JsonValueKind.String
            ? id.GetString() : null;

    private static bool IsAt(JsonElement entry, string resource) =>
        entry.TryGetProperty("locations", out JsonElement locations) && locations.ValueKind == JsonValueKind.Array
        && locations.EnumerateArray().Any(l => l.ValueKind == JsonValueKind.String && l.GetString() == resource);

    private static void Name(Utf8JsonWriter writer, string taskId)
    {
        writer.WriteStartObject(Names.Claims.Task);
        writer.WriteString("id", taskId);
        writer.WriteEndObject();
    }
}
