using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;

namespace McpAuthServer.Registry;

/// <summary>How lists stand in a text column: a JSON array in ordinal order, so that equal sets are equal text.</summary>
internal static class StoredText
{
    public static string FromSet(IEnumerable<string> values) =>
        JsonSerializer.Serialize(values.Order(StringComparer.Ordinal).ToArray(), StoredTextJson.Default.StringArray);

    public static IReadOnlySet<string> ToSet(string text) =>
        JsonSerializer.Deserialize(text, StoredTextJson.Default.StringArray)!.ToHashSet(StringComparer.Ordinal);

    /// <summary>Pairs of which no name has an equals sign.</summary>
    public static string FromMap(IEnumerable<KeyValuePair<string, string>> pairs) => FromSet(pairs.Select(p => $"{p.Key}={p.Value}"));

    public static IReadOnlyDictionary<string, string> ToMap(string text) =>
        ToSet(text).Select(p => p.Split('=', 2)).ToDictionary(p => p[0], p => p[1], StringComparer.Ordinal);

    public static JsonElement Json(string text) =>
        StrictJson.Parse(Encoding.UTF8.GetBytes(text), new JsonLimits(Limits.GuardBody)).TryGet(out var json, out var fault)
            ? json : throw new InvalidDataException($"The registry holds a value that does not read: {fault}");
}

[JsonSerializable(typeof(string[]))]
internal sealed partial class StoredTextJson : JsonSerializerContext;

/// <summary>States of agents, clients and tool servers, and of tools.</summary>
internal static class RegistryState
{
    public const string Active = "active", Suspended = "suspended", Retired = "retired";
    public const string New = "new", Approved = "approved", Drifted = "drifted";
}

/// <summary>What becomes of an approved tool whose definition changes.</summary>
internal static class OnChange
{
    /// <summary>It drifts: no call of it runs until somebody has approved it again.</summary>
    public const string Hold = "hold";

    /// <summary>It is pinned anew, on record.</summary>
    public const string Accept = "accept";
}

/// <summary>How dangerous a tool is.</summary>
internal static class Sensitivity
{
    public const string Read = "read", Write = "write", Destructive = "destructive";
}

/// <summary>States of a version of policies.</summary>
internal static class PolicyState
{
    /// <summary>Written, and deciding nothing.</summary>
    public const string Draft = "draft";

    /// <summary>Says what it would decide, beside what decides.</summary>
    public const string Shadow = "shadow";

    public const string Active = "active";

    /// <summary>Decided or shadowed once; can again.</summary>
    public const string Retired = "retired";
}

/// <summary>How a client became known.</summary>
internal static class ClientOrigin
{
    /// <summary>An administrator registered it.</summary>
    public const string Registered = "registered";

    /// <summary>It registered itself (RFC 7591).</summary>
    public const string Dynamic = "dynamic";

    /// <summary>Its id is the address of a document about it.</summary>
    public const string Document = "document";
}
