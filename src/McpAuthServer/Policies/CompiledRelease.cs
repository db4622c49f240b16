using System.Text;
using System.Text.Json;
using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Policies;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using McpAuthServer.Registry;

namespace McpAuthServer.Policies;

/// <summary>What decides at a tool server, as guards are given it and ready to decide. Immutable.</summary>
/// <param name="Body">The <see cref="PolicyRelease"/> as its hash was taken.</param>
/// <param name="Hash"><c>sha-256:</c> and the base64url SHA-256 over the RFC 8785 form of the body: what a decision names.</param>
/// <param name="Policies">Null: none are active, authority alone decides.</param>
/// <param name="Approvers">Who may approve calls, by the active policies.</param>
internal sealed record CompiledRelease(JsonElement Body, string Hash, ToolCallAuthorizer? Policies, McpApprovers Approvers)
{
    public static CompiledRelease Of(ToolServerRecord server)
    {
        var policies = server.Policies is { } active ? new PolicyText(active.Version, active.Text) : null;
        var shadow = server.Shadow is { } candidate ? new PolicyText(candidate.Version, candidate.Text) : null;
        var release = new PolicyRelease(policies, shadow, policies is null && shadow is null ? [] : Tools(server));
        return Of(JsonSerializer.SerializeToElement(release, ProtocolJson.Default.PolicyRelease));
    }

    /// <exception cref="InvalidDataException">It is none that this server made.</exception>
    public static CompiledRelease Of(JsonElement body)
    {
        var release = body.Deserialize(ProtocolJson.Default.PolicyRelease) ?? throw new InvalidDataException("A policy release is an object.");
        var model = Model(release.Tools);
        var policies = release.Policies is { } active ? PolicySet.Parse(active.Text, PolicyIds.FromAnnotation).Value : null;
        return new(body, CanonicalJson.Digest(body), policies is null ? null : new(policies, model), new(policies, model));
    }

    /// <summary>The tools that may be called and whose arguments are known, in the order of their names.</summary>
    public static IReadOnlyList<PolicyTool> Tools(ToolServerRecord server) =>
        [.. server.Tools.Values.Where(t => t is { Approved: true, Definition: not null }).OrderBy(t => t.Name, StringComparer.Ordinal).Select(Tool).OfType<PolicyTool>()];

    /// <summary>A guard says what a definition is, so it may be anything.</summary>
    private static PolicyTool? Tool(ToolRecord tool) =>
        StoredText.Json(tool.Definition!) is { ValueKind: JsonValueKind.Object } definition && definition.TryGetProperty("inputSchema", out var schema) && schema.ValueKind == JsonValueKind.Object
            ? new(tool.Name, tool.Sensitivity, tool.Class, schema) : null;

    /// <summary>What policies about these tools are validated against, and decide by.</summary>
    public static ToolServerModel Model(IReadOnlyList<PolicyTool> tools) => ToolServerModel.Create(tools.Select(t => new McpTool(
        t.Name, Encoding.UTF8.GetBytes(t.InputSchema.GetRawText()),
        Sensitivity(t.Sensitivity), t.Class))).Value;

    /// <summary>Unset means the worst (design: declared numbers).</summary>
    public static ToolSensitivity Sensitivity(string? word) => word switch { "read" => ToolSensitivity.Read, "write" => ToolSensitivity.Write, _ => ToolSensitivity.Destructive };
}

/// <summary>Compiles what is registered, once for each change of it.</summary>
internal sealed class PolicyDirectory
{
    private readonly System.Collections.Concurrent.ConcurrentDictionary<string, (ToolServerRecord Of, CompiledRelease Release)> known = new(StringComparer.Ordinal);

    public CompiledRelease Of(ToolServerRecord server)
    {
        // Each load of the registry makes its records anew; of one that says the same the result is the same.
        if (known.TryGetValue(server.Id, out var found) && (ReferenceEquals(found.Of, server) || Same(found.Of, server)))
            return found.Release;
        var release = CompiledRelease.Of(server);
        known[server.Id] = (server, release);
        return release;
    }

    private static bool Same(ToolServerRecord a, ToolServerRecord b) =>
        a.Policies == b.Policies && a.Shadow == b.Shadow && a.Tools.Count == b.Tools.Count && a.Tools.All(t => b.Tools.GetValueOrDefault(t.Key) == t.Value);
}
