using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using McpAuth.Protocol;
using McpGuard.Sdk.Calls;
using McpGuard.Sdk.Schema;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace McpGuard.Sdk.Http;

/// <summary>
/// MCP 2026-07-28: what headers say of the message must equal the message, because others on the way route and decide by them. On older
/// revisions the headers may be absent; one that is present is held to the same.
/// </summary>
internal static class HeaderRules
{
    private const string VersionMeta = McpMessage.VersionMeta, CapabilitiesMeta = McpMessage.CapabilitiesMeta;
    private const string Sentinel = "=?base64?", SentinelEnd = "?=";
    private const double SafeInteger = 9007199254740991;

    public static readonly string[] Versions = [Names.Mcp.V20260728, Names.Mcp.V20251125, Names.Mcp.V20250618];

    /// <summary>What is refused before the body is read: a version nobody here speaks.</summary>
    public static McpError? Version(IHeaderDictionary headers, out string? version)
    {
        version = null;
        StringValues given = headers[Names.Mcp.ProtocolVersionHeader];
        if (given.Count == 0) return null;
        if (given is not [{ } one]) return Mismatch($"{Names.Mcp.ProtocolVersionHeader} stands twice.");
        version = one;
        return Array.IndexOf(Versions, one) >= 0 ? null
            : new McpError(Names.Mcp.UnsupportedVersion, "The protocol version is not supported.", StatusCodes.Status400BadRequest, one);
    }

    public static McpError? Check(IHeaderDictionary headers, McpMessage message, string? version, GuardedTool? tool)
    {
        bool modern = version == Names.Mcp.V20260728;
        if (Envelope(message, version, modern) is { } wrong) return wrong;

        if (!Read(headers, Names.Mcp.MethodHeader, out string? method)) return Mismatch($"{Names.Mcp.MethodHeader} is malformed.");
        if (method is null ? modern : !string.Equals(method, message.Method, StringComparison.Ordinal)) return Mismatch($"{Names.Mcp.MethodHeader} must equal the body's method.");

        if (!Read(headers, Names.Mcp.NameHeader, out string? name)) return Mismatch($"{Names.Mcp.NameHeader} is malformed.");
        bool named = McpMethods.IsNamed(message.Method);
        if (name is null ? named && modern : named && !string.Equals(name, message.Name, StringComparison.Ordinal)) return Mismatch($"{Names.Mcp.NameHeader} must equal the body's name.");

        return message.Method == McpMethods.ToolsCall && tool is not null ? Parameters(headers, message, tool, modern) : null;
    }

    /// <summary>The version in <c>_meta</c> and in the header are one; a request of 2026-07-28 brings its capabilities.</summary>
    private static McpError? Envelope(McpMessage message, string? version, bool modern)
    {
        JsonElement meta = message.Meta(VersionMeta);
        if (message.Method == McpMethods.Initialize && message.Text("protocolVersion") is { } wanted && version is not null && version != wanted)
            return Mismatch($"{Names.Mcp.ProtocolVersionHeader} must equal the body's protocolVersion.");
        if (meta.ValueKind != JsonValueKind.Undefined && (modern || Is(meta, Names.Mcp.V20260728)) && !(version is not null && Is(meta, version)))
            return Mismatch($"{Names.Mcp.ProtocolVersionHeader} must equal the body's _meta.");
        if (!modern || message.IsNotification) return null;
        if (meta.ValueKind == JsonValueKind.Undefined) return Lacks(VersionMeta);
        return message.Meta(CapabilitiesMeta).ValueKind == JsonValueKind.Object ? null : Lacks(CapabilitiesMeta);
    }

    private static McpError? Parameters(IHeaderDictionary headers, McpMessage message, GuardedTool tool, bool modern)
    {
        foreach (HeaderParameter parameter in tool.Schema.HeaderParameters)
        {
            if (!Read(headers, parameter.Header, out string? value)) return Mismatch($"{parameter.Header} is malformed.");
            JsonElement argument = message.Params.TryGetProperty("arguments", out JsonElement arguments) ? arguments : default;
            foreach (string step in parameter.Path)
                argument = argument.ValueKind == JsonValueKind.Object && argument.TryGetProperty(step, out JsonElement inner) ? inner : default;
            bool absent = argument.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null;
            if (value is null ? !absent && modern : absent || !Same(value, argument)) return Mismatch($"{parameter.Header} must equal the argument in the body.");
        }
        return null;
    }

    private static bool Same(string header, JsonElement argument) => argument.ValueKind switch
    {
        JsonValueKind.String => string.Equals(header, argument.GetString(), StringComparison.Ordinal),
        JsonValueKind.True => header == "true",
        JsonValueKind.False => header == "false",
        JsonValueKind.Number => double.TryParse(header, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)
            && Math.Abs(number) <= SafeInteger && number == argument.GetDouble(),
        _ => false,
    };

    /// <summary>The header's value, decoded; null when it is absent. False: doubled, with invalid characters, or a sentinel around no base64 of UTF-8.</summary>
    private static bool Read(IHeaderDictionary headers, string name, out string? value)
    {
        value = null;
        StringValues given = headers[name];
        if (given.Count == 0) return true;
        if (given is not [{ } one]) return false;
        one = one.Trim(' ', '\t');
        if (one.AsSpan().IndexOfAnyExcept(Visible) >= 0) return false;
        // Without both ends it is no encoding, and stands for itself.
        if (!one.StartsWith(Sentinel, StringComparison.Ordinal) || !one.EndsWith(SentinelEnd, StringComparison.Ordinal) || one.Length < Sentinel.Length + SentinelEnd.Length)
        {
            value = one;
            return true;
        }
        string encoded = one[Sentinel.Length..^SentinelEnd.Length];
        byte[] bytes = new byte[encoded.Length];
        // Exactly one spelling: no white space inside, no stray bits.
        if (!Convert.TryFromBase64String(encoded, bytes, out int length) || Convert.ToBase64String(bytes, 0, length) != encoded) return false;
        try
        {
            value = Strict.GetString(bytes, 0, length);
            return true;
        }
        catch (DecoderFallbackException)
        {
            return false;
        }
    }

    private static bool Is(JsonElement element, string text) => element.ValueKind == JsonValueKind.String && element.ValueEquals(text);

    private static McpError Mismatch(string message) => new(Names.Mcp.HeaderMismatch, message, StatusCodes.Status400BadRequest);

    private static McpError Lacks(string meta) => new(McpError.InvalidParams, $"The request must have _meta/{meta}.", StatusCodes.Status400BadRequest);

    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);
    private static readonly SearchValues<char> Visible = SearchValues.Create([.. Enumerable.Range(0x20, 0x5F).Select(c => (char)c), '\t']);
}
