using System.Runtime.InteropServices;
using System.Text.Json;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp.ToolHive;

/// <summary>How claims become attributes and groups.</summary>
public sealed record ToolHiveClaims
{
    private const string Prefix = "claim_";
    private const string SetPrefix = "claimset_";

    /// <summary>Deeper arrays and objects are left out, as there.</summary>
    private const int Deepest = 10;

    private static readonly string[] UsualGroups = ["groups", "roles", "cognito:groups"];

    /// <summary>The claim with the groups, also as a path (<c>realm_access.roles</c>); null for the first of <c>groups</c>, <c>roles</c>, <c>cognito:groups</c> that is an array.</summary>
    public string? GroupClaim { get; init; }

    /// <summary>A claim with roles, which are groups too; null for none.</summary>
    public string? RoleClaim { get; init; }

    /// <summary>The type of groups.</summary>
    public string GroupType { get; init; } = "THVGroup";

    /// <summary>Claims, such as <c>scope</c>, that are one text with spaces as <c>claim_scope</c> and a set of words as <c>claimset_scope</c>, however the token has them.</summary>
    public IReadOnlyCollection<string> MultiValued { get; init; } = [];

    /// <summary>The principal of a token. Its attributes are also the session of a call (<see cref="ToolCall.Session"/>).</summary>
    /// <param name="claims">A JSON object in UTF-8, verified by the caller.</param>
    /// <returns>Errors where it is none, or has no <c>sub</c>; warnings for the claims that are no value of Cedar's.</returns>
    public Parsed<EntityDescription> Principal(ReadOnlyMemory<byte> claims)
    {
        var findings = new List<Diagnostic>();
        using JsonDocument? document = ClaimsJson.Read(claims, findings, out string subject);
        if (findings.Count > 0) return new(findings);
        var attributes = new List<KeyValuePair<string, Value>>();
        foreach (JsonProperty claim in document!.RootElement.EnumerateObject())
            if (SchemaObject.NameOf(claim) is { } name) Add(name, claim.Value, attributes, findings);
        return new(new EntityDescription(new("Client", subject), new(attributes), Groups(document.RootElement), CedarRecord.Empty), findings);
    }

    private void Add(string name, JsonElement claim, List<KeyValuePair<string, Value>> attributes, List<Diagnostic> findings)
    {
        if (MultiValued.Contains(name) && Words(claim) is { } words)
        {
            attributes.Add(new(Prefix + name, Value.Of(SchemaObject.TextOf(claim) ?? string.Join(' ', words))));
            attributes.Add(new(SetPrefix + name, Value.Of(new CedarSet([.. words.Select(Value.Of)]))));
            return;
        }
        Value value = Convert(claim, 0);
        if (!value.IsNone) attributes.Add(new(Prefix + name, value));
        else if (claim.ValueKind != JsonValueKind.Null) findings.Add(ClaimsJson.LeftOut(name, "It has no exact value in Cedar."));
    }

    private static string[]? Words(JsonElement claim) => claim.ValueKind switch
    {
        JsonValueKind.String => SchemaObject.TextOf(claim)?.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries),
        JsonValueKind.Array => [.. claim.EnumerateArray().Select(SchemaObject.TextOf).OfType<string>()],
        _ => null,
    };

    /// <summary>No value for what has none: null, a number that no decimal holds, and what holds such.</summary>
    private static Value Convert(JsonElement claim, int depth)
    {
        if (depth > Deepest) return default;
        switch (claim.ValueKind)
        {
            case JsonValueKind.True or JsonValueKind.False: return Value.Of(claim.ValueKind == JsonValueKind.True);
            case JsonValueKind.String: return SchemaObject.TextOf(claim) is { } text ? Value.Of(text) : default;
            case JsonValueKind.Number: return JsonNumber.TryScale(JsonMarshal.GetRawUtf8Value(claim), 4, out long tenThousandths) ? Value.OfDecimal(tenThousandths) : default;
            case JsonValueKind.Array:
                Value[] members = [.. claim.EnumerateArray().Where(m => m.ValueKind != JsonValueKind.Null).Select(m => Convert(m, depth + 1))];
                return Array.Exists(members, m => m.IsNone) ? default : Value.Of(new CedarSet(members));
            case JsonValueKind.Object:
                var attributes = new List<KeyValuePair<string, Value>>();
                foreach (JsonProperty member in claim.EnumerateObject())
                {
                    if (member.Value.ValueKind == JsonValueKind.Null) continue;
                    Value value = Convert(member.Value, depth + 1);
                    if (value.IsNone || SchemaObject.NameOf(member) is not { } name) return default;
                    attributes.Add(new(name, value));
                }
                return Value.Of(new CedarRecord(attributes));
            default: return default;
        }
    }

    private EntityUid[] Groups(JsonElement claims)
    {
        string[]? groups = GroupClaim is null ? null : Texts(claims, GroupClaim);
        foreach (string usual in UsualGroups) groups ??= Texts(claims, usual);
        string[] roles = (RoleClaim is null ? null : Texts(claims, RoleClaim)) ?? [];
        return [.. (groups ?? []).Concat(roles).Distinct(StringComparer.Ordinal).Select(g => new EntityUid(GroupType, g))];
    }

    /// <summary>The texts in an array; null when there is no array. A claim may have points in its name, so that comes before a path.</summary>
    private static string[]? Texts(JsonElement claims, string path)
    {
        if (!claims.TryGetProperty(path, out JsonElement found))
        {
            found = claims;
            foreach (string step in path.Split('.'))
                if (found.ValueKind != JsonValueKind.Object || !found.TryGetProperty(step, out found)) return null;
        }
        return found.ValueKind == JsonValueKind.Array ? found.EnumerateArray().Select(SchemaObject.TextOf).OfType<string>().ToArray() : null;
    }
}
