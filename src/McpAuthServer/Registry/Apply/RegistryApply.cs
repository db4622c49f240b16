using System.Security.Cryptography;
using McpAuth.Protocol.Jose;
using McpAuthServer.Keys;
using McpAuthServer.People;
using McpAuthServer.Storage;
using Microsoft.AspNetCore.Identity;

namespace McpAuthServer.Registry.Apply;

/// <summary>
/// Declares users, groups, agents, clients, tool servers, tools and edges from files (<c>--apply</c>). What a file names is created or
/// updated, what it does not name stays; applying it again changes nothing.
/// </summary>
internal sealed class RegistryApply(ICommitLog log, IReadStore store, KeyEncryption keys, IPasswordHasher<Account> hasher, Issuer issuer, TimeProvider time)
{
    /// <summary>One file, one transaction: all of it, or (with every fault) nothing.</summary>
    /// <param name="by">The client that sent it; null = an operator at the server itself.</param>
    public async Task<ApplyOutcome> Apply(ReadOnlyMemory<byte> file, string? by = null)
    {
        var (document, faults) = ApplyParser.Parse(file);
        if (faults.Count == 0)
            document = await ApplyAccounts.HashedAsync(document, store, hasher);
        return await log.Commit(new ApplyUnit(document, faults, "sha-256:" + Base64Url.Encode(SHA256.HashData(file.Span)), keys, issuer, time, by));
    }

    /// <summary>Applies the files in order, and stops after the first that is refused.</summary>
    public async Task<IReadOnlyList<(string File, ApplyOutcome Outcome)>> ApplyFiles(IEnumerable<string> files, CancellationToken cancel)
    {
        var outcomes = new List<(string, ApplyOutcome)>();
        foreach (var file in files)
        {
            var outcome = await Apply(await File.ReadAllBytesAsync(file, cancel));
            outcomes.Add((file, outcome));
            if (!outcome.Applied)
                break;
        }
        return outcomes;
    }
}
