using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;

namespace McpGuard.Sdk.Calls;

/// <summary>The one JSON-RPC message of a request, read strictly; nothing behind the guard sees the bytes it came in.</summary>
internal sealed class McpMessage
{
    private static readonly JsonLimits BodyLimits = new(Limits.GuardBody);

    /// <summary>Of <c>_meta</c> in requests of 2026-07-28.</summary>
    public const string VersionMeta = "io.modelcontextprotocol/protocolVersion", CapabilitiesMeta = "io.modelcontextprotocol/clientCapabilities";

    private McpMessage(JsonElement id, string method, JsonElement parameters) => (Id, Method, Params) = (id, method, parameters);

    /// <summary>Undefined for a notification.</summary>
    public JsonElement Id { get; }

    public string Method { get; }

    /// <summary>An object, or undefined.</summary>
    public JsonElement Params { get; }

    public bool IsNotification => Id.ValueKind == JsonValueKind.Undefined;

    /// <summary>A string member of <c>params</c>; null when it is absent or something else.</summary>
    public string? Text(string member) =>
        Params.ValueKind == JsonValueKind.Object && Params.TryGetProperty(member, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>What the message names: a tool, a prompt, or a resource's URI.</summary>
    public string? Name => Method == McpMethods.ResourcesRead ? Text("uri") : Text("name");

    public JsonElement Meta(string key) =>
        Params.ValueKind == JsonValueKind.Object && Params.TryGetProperty("_meta", out JsonElement meta) && meta.ValueKind == JsonValueKind.Object
        && meta.TryGetProperty(key, out JsonElement value) ? value : default;

    /// <summary>
    /// Whether the client opens addresses for its user (MCP 2026-07-28: what a request's <c>clientCapabilities</c> do not say, the client cannot).
    /// </summary>
    public bool OpensAddresses =>
        Meta(CapabilitiesMeta) is { ValueKind: JsonValueKind.Object } can && can.TryGetProperty("elicitation", out JsonElement elicitation) && elicitation.ValueKind == JsonValueKind.Object
        && elicitation.TryGetProperty("url", out JsonElement url) && url.ValueKind == JsonValueKind.Object;

    /// <summary>Codes: those of <see cref="StrictJson"/>, <c>batch</c>, <c>invalid_message</c>.</summary>
    public static Result<McpMessage> Read(ReadOnlyMemory<byte> body)
    {
        if (!StrictJson.Parse(body, BodyLimits).TryGet(out JsonElement root, out Fault? fault)) return fault;
        // One POST, one message: batches ended with MCP 2025-06-18.
        if (root.ValueKind == JsonValueKind.Array) return new Fault("batch", "Batches are not taken.");
        if (root.ValueKind != JsonValueKind.Object) return Invalid("a message is an object");

        JsonElement id = default, parameters = default;
        string? version = null, method = null;
        foreach (JsonProperty member in root.EnumerateObject())
        {
            switch (member.Name)
            {
                case "jsonrpc": version = member.Value.ValueKind == JsonValueKind.String ? member.Value.GetString() : null; break;
                case "method": method = member.Value.ValueKind == JsonValueKind.String ? member.Value.GetString() : null; break;
                case "id": id = member.Value; break;
                case "params": parameters = member.Value; break;
                // A stateless server asks its clients nothing, so nobody answers it.
                default: return Invalid("a request has jsonrpc, id, method and params");
            }
        }
        if (version != "2.0" || string.IsNullOrEmpty(method)) return Invalid("jsonrpc must be \"2.0\" and method a string");
        if (parameters.ValueKind is not (JsonValueKind.Undefined or JsonValueKind.Object)) return Invalid("params must be an object");
        bool goodId = id.ValueKind is JsonValueKind.Undefined or JsonValueKind.String || (id.ValueKind == JsonValueKind.Number && id.TryGetInt64(out _));
        return goodId ? new McpMessage(id, method, parameters) : Invalid("id must be a string or an integer");
    }

    private static Fault Invalid(string why) => new("invalid_message", $"Not a JSON-RPC message: {why}.");
}
