using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpGuard.Sdk.Calls;

namespace McpGuard.Sdk.Http;

/// <summary>
/// The message as the handler gets it: made from the parsed value, never from the bytes that came. A tool call carries the arguments that
/// were decided on; of the other members only those that are known pass.
/// </summary>
internal static class RebuiltMessage
{
    // A retry after input_required is a new request and a new decision; what it brings is the handler's to distrust.
    private static readonly FrozenSet<string> Passing = FrozenSet.ToFrozenSet([Meta, "inputResponses", "requestState"], StringComparer.Ordinal);
    private const string Meta = "_meta";

    /// <summary>What a person approved are the arguments they saw: nothing else that the tool could act on comes with them.</summary>
    private static bool Passes(string member, CallDecision decision) => decision.Approval is null ? Passing.Contains(member) : member == Meta;

    public static void Write(Utf8JsonWriter writer, Admission admission)
    {
        McpMessage message = admission.Message;
        writer.WriteStartObject();
        writer.WriteString("jsonrpc", "2.0");
        if (!message.IsNotification)
        {
            writer.WritePropertyName("id");
            message.Id.WriteTo(writer);
        }
        writer.WriteString("method", message.Method);
        if (admission.Decision is { Tool: { } tool } decision)
        {
            writer.WriteStartObject("params");
            writer.WriteString("name", tool.Name);
            writer.WritePropertyName("arguments");
            decision.Arguments.WriteTo(writer);
            foreach (JsonProperty member in message.Params.EnumerateObject())
            {
                if (Passes(member.Name, decision)) member.WriteTo(writer);
            }
            writer.WriteEndObject();
        }
        else if (message.Params.ValueKind == JsonValueKind.Object)
        {
            writer.WritePropertyName("params");
            message.Params.WriteTo(writer);
        }
        writer.WriteEndObject();
    }

    /// <summary>The same, for a handler in this process.</summary>
    public static JsonObject? Params(Admission admission)
    {
        McpMessage message = admission.Message;
        if (admission.Decision is not { Tool: { } tool } decision) return message.Params.ValueKind == JsonValueKind.Object ? JsonObject.Create(message.Params) : null;
        var rebuilt = new JsonObject { ["name"] = tool.Name, ["arguments"] = JsonObject.Create(decision.Arguments) };
        foreach (JsonProperty member in message.Params.EnumerateObject())
        {
            if (!Passes(member.Name, decision)) continue;
            rebuilt[member.Name] = member.Value.ValueKind switch
            {
                JsonValueKind.Object => JsonObject.Create(member.Value),
                JsonValueKind.Array => JsonArray.Create(member.Value),
                _ => JsonValue.Create(member.Value),
            };
        }
        return rebuilt;
    }
}
