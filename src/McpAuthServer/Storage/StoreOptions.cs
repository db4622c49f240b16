namespace McpAuthServer.Storage;

/// <summary>Where the server keeps its state.</summary>
internal sealed class StoreOptions
{
    public const string Sqlite = "sqlite", Postgres = "postgres";

    /// <summary><c>sqlite</c> (one machine) or <c>postgres</c> (any number of nodes).</summary>
    public string Provider { get; set; } = Sqlite;

    /// <summary>SQLite: the data file. Its folder is created when absent.</summary>
    public string Path { get; set; } = "mcpauth.db";

    /// <summary>PostgreSQL: an Npgsql connection string to the primary.</summary>
    public string? ConnectionString { get; set; }

    /// <summary>Units that may wait; one more is answered 503. Under the measured rate this is a tenth of a second.</summary>
    public int QueueLength { get; set; } = 4096;

    /// <summary>PostgreSQL: connections that commit, each with its thread. (SQLite has one.)</summary>
    public int Writers { get; set; } = 8;

    /// <summary>How long approvals that are over, and what shadows said, stay beside the record. A guard that was cut off tells of what it decided that much later.</summary>
    public TimeSpan KeepDecided { get; set; } = TimeSpan.FromDays(30);

    /// <returns>What is wrong with it; empty when nothing is.</returns>
    public IEnumerable<string> Faults()
    {
        if (Provider is not (Sqlite or Postgres)) yield return $"Store provider '{Provider}' is neither '{Sqlite}' nor '{Postgres}'.";
        if (Provider == Sqlite && string.IsNullOrWhiteSpace(Path)) yield return "The SQLite store needs the path of its data file.";
        if (Provider == Postgres && string.IsNullOrWhiteSpace(ConnectionString)) yield return "The PostgreSQL store needs a connection string.";
        if (QueueLength is < 1 or > 1_000_000) yield return "The store's queue length must be between 1 and 1000000.";
        if (Writers is < 1 or > 256) yield return "The store's writers must be between 1 and 256.";
    }
}
