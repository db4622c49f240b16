using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Connection;

/// <summary>What the guard keeps between runs: its key, who it is, and the spool. Readable by its owner only; held by one process at a time.</summary>
internal sealed class StateDirectory : IDisposable
{
    private const string KeyFile = "guard.key", IdentityFile = "guard.json", PolicyFile = "policy.json", LockFile = "lock";
    private const UnixFileMode OwnerFile = UnixFileMode.UserRead | UnixFileMode.UserWrite, OwnerDirectory = OwnerFile | UnixFileMode.UserExecute;

    private readonly FileStream held;

    public StateDirectory(IOptions<McpGuardOptions> options, IHostEnvironment environment)
    {
        Path = System.IO.Path.GetFullPath(options.Value.StateDirectory ?? ".mcpguard", environment.ContentRootPath);
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(Path);
        else Directory.CreateDirectory(Path, OwnerDirectory);
        try
        {
            held = Create(LockFile, FileMode.OpenOrCreate);
        }
        catch (IOException e)
        {
            throw new InvalidOperationException($"The guard's state directory {Path} is in use by another process: each process needs its own.", e);
        }
    }

    public string Path { get; }

    public string this[string file] => System.IO.Path.Combine(Path, file);

    /// <summary>The guard's own key: made once, kept before it is first used.</summary>
    public SigningKey Key()
    {
        if (File.Exists(this[KeyFile])) return SigningKey.Import(File.ReadAllBytes(this[KeyFile]), "ES256");
        SigningKey key = SigningKey.Create();
        Write(KeyFile, key.ExportPkcs8());
        return key;
    }

    /// <summary>Who this guard is for the given server and resource; null when it must enrol.</summary>
    /// <exception cref="InvalidOperationException">The directory belongs to a guard of something else.</exception>
    public GuardIdentity? Identity(string issuer, string resource)
    {
        if (!File.Exists(this[IdentityFile])) return null;
        if (!StrictJson.Parse(File.ReadAllBytes(this[IdentityFile]), new JsonLimits(64 * 1024)).TryGet(out JsonElement json, out Fault? fault))
            throw new InvalidOperationException($"{this[IdentityFile]} cannot be read: {fault}");
        GuardIdentity identity = json.Deserialize(GuardIdentityJson.Default.GuardIdentity)
            ?? throw new InvalidOperationException($"{this[IdentityFile]} is empty.");
        if (identity.Issuer != issuer || identity.Resource != resource)
            throw new InvalidOperationException($"{Path} belongs to a guard of {identity.Resource} at {identity.Issuer}; use another state directory.");
        return identity;
    }

    public void Keep(GuardIdentity identity) => Write(IdentityFile, JsonSerializer.SerializeToUtf8Bytes(identity, GuardIdentityJson.Default.GuardIdentity));

    /// <summary>The policies that were kept last; null when there are none that can be read.</summary>
    public PolicyResponse? Policy()
    {
        if (!File.Exists(this[PolicyFile]) || !StrictJson.Parse(File.ReadAllBytes(this[PolicyFile]), new JsonLimits(Limits.GuardBody)).TryGet(out JsonElement json, out _)) return null;
        try
        {
            return json.Deserialize(ProtocolJson.Default.PolicyResponse) is { Signed: not null } kept ? kept : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public void Keep(PolicyResponse policy) => Write(PolicyFile, JsonSerializer.SerializeToUtf8Bytes(policy, ProtocolJson.Default.PolicyResponse));

    /// <summary>Whole or not at all: written beside, flushed, then renamed.</summary>
    private void Write(string file, byte[] content)
    {
        string beside = file + ".new";
        File.Delete(this[beside]);
        using (FileStream stream = Create(beside, FileMode.CreateNew))
        {
            stream.Write(content);
            stream.Flush(flushToDisk: true);
        }
        File.Move(this[beside], this[file], overwrite: true);
    }

    private FileStream Create(string file, FileMode mode)
    {
        var how = new FileStreamOptions { Mode = mode, Access = FileAccess.ReadWrite, Share = FileShare.None };
        if (!OperatingSystem.IsWindows()) how.UnixCreateMode = OwnerFile;
        return new FileStream(this[file], how);
    }

    public void Dispose() => held.Dispose();
}

/// <param name="ArgsKey">For digests until the server names a newer one.</param>
/// <param name="PolicyKey">The one key that signs policies.</param>
internal sealed record GuardIdentity(string Issuer, string Resource, string GuardId, ArgsKey ArgsKey, JsonElement PolicyKey);

[System.Text.Json.Serialization.JsonSerializable(typeof(GuardIdentity))]
internal sealed partial class GuardIdentityJson : System.Text.Json.Serialization.JsonSerializerContext;
