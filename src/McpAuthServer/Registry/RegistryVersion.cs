using McpAuthServer.Storage;

namespace McpAuthServer.Registry;

/// <summary>
/// The number that every change to the registry raises. A unit that decided on a <see cref="RegistrySnapshot"/> checks it in its own
/// transaction: a snapshot that went stale between the decision and the commit costs a retry, never a token.
/// </summary>
internal static class RegistryVersion
{
    public static readonly Sql Read = new("select version from registry where id = 1");

    private static readonly Sql Increment = new("update registry set version = version + 1 where id = 1");

    /// <summary>Whether what was read at <paramref name="version"/> still is all there is. Under <see cref="StateLock.Shared"/> it stays so until the commit.</summary>
    public static bool IsCurrent(WriteTx tx, long version) => tx.First(Read.With(), row => row.GetInt64(0)) == version;

    /// <summary>Only from units under <see cref="StateLock.Exclusive"/>, once, after the changes.</summary>
    public static void Raise(WriteTx tx) => tx.Run(Increment.With());
}
