using System.Buffers;
using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;

namespace McpAuth.Cedar.Mcp;

/// <summary>
/// One call as it was decided, as JSON: who called, when, what, and of the arguments what the policies read. With the same policies and tools it is decided the
/// same again, anywhere. As confidential as the arguments are.
/// </summary>
/// <param name="Time">As the decision had it, to the millisecond.</param>
/// <param name="Resource">The tool server's URI.</param>
/// <param name="Arguments">What <see cref="ToolCallAuthorizer.CopyRead"/> copied.</param>
/// <param name="Address">Where the request came from.</param>
public sealed record RecordedCall(
    [property: JsonPropertyName("caller")] McpCaller Caller, [property: JsonPropertyName("time")] long Time, [property: JsonPropertyName("resource")] string Resource,
    [property: JsonPropertyName("tool")] string Tool, [property: JsonPropertyName("arguments")] JsonElement Arguments,
    [property: JsonPropertyName("approval")] McpApproval? Approval = null, [property: JsonPropertyName("address")] string? Address = null)
{
    /// <summary>The caller's part, which stays the same for all calls with one token.</summary>
    public static byte[] CallerJson(McpCaller caller) => JsonSerializer.SerializeToUtf8Bytes(caller, RecordedCallJson.Default.McpCaller);

    /// <summary>Writes a record.</summary>
    /// <param name="caller">What <see cref="CallerJson"/> made.</param>
    /// <param name="arguments">What <see cref="ToolCallAuthorizer.CopyRead"/> copied.</param>
    public static void Write(
        IBufferWriter<byte> to, ReadOnlySpan<byte> caller, DateTimeOffset time, string resource, string tool, ReadOnlySpan<byte> arguments, McpApproval? approval = null, IPAddress? address = null)
    {
        ArgumentNullException.ThrowIfNull(to);
        using var json = new Utf8JsonWriter(to, new JsonWriterOptions { SkipValidation = true });
        json.WriteStartObject();
        json.WritePropertyName("caller"u8);
        json.WriteRawValue(caller, skipInputValidation: true);
        json.WriteNumber("time"u8, time.ToUnixTimeMilliseconds());
        json.WriteString("resource"u8, resource);
        json.WriteString("tool"u8, tool);
        json.WritePropertyName("arguments"u8);
        json.WriteRawValue(arguments, skipInputValidation: true);
        if (approval is not null)
        {
            json.WritePropertyName("approval"u8);
            JsonSerializer.Serialize(json, approval, RecordedCallJson.Default.McpApproval);
        }
        if (address is not null) json.WriteString("address"u8, address.ToString());
        json.WriteEndObject();
    }

    /// <summary>Null when it is no record.</summary>
    public static RecordedCall? Parse(ReadOnlySpan<byte> utf8)
    {
        try
        {
            return JsonSerializer.Deserialize(utf8, RecordedCallJson.Default.RecordedCall);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Decides it by these policies, with what each of them and each part of its conditions came to.</summary>
    public Explanation Decide(ToolCallAuthorizer policies)
    {
        ArgumentNullException.ThrowIfNull(policies);
        var call = new ToolCall
        {
            Principal = Caller.Principal,
            Tool = Tool,
            Resource = McpCaller.Server(Resource),
            Session = Caller.Session(DateTimeOffset.FromUnixTimeMilliseconds(Time), Approval, Address is null ? null : IPAddress.Parse(Address)),
            // Not the element's own text: it may have been made again on the way, the value cannot.
            Arguments = JsonSerializer.SerializeToUtf8Bytes(Arguments, RecordedCallJson.Default.JsonElement),
        };
        EntityStore entities = Caller.Entities();
        return policies.Explain(call, entities);
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true,
    RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(RecordedCall)), JsonSerializable(typeof(McpCaller)), JsonSerializable(typeof(McpApproval)), JsonSerializable(typeof(JsonElement))]
internal sealed partial class RecordedCallJson : JsonSerializerContext;
