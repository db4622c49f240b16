using System.Security.Cryptography;
using System.Text;
using System.Xml;
using System.Xml.Linq;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Storage;
using Microsoft.AspNetCore.DataProtection.Repositories;

namespace McpAuthServer.Keys;

/// <summary>
/// The keys of cookies and forms, in the database and wrapped under the key-encryption key, so that every node reads what another wrote.
/// One that does not unwrap is as one that is not there: people sign in again.
/// </summary>
internal sealed partial class KeyRingStore(ICommitLog log, IReadStore store, KeyEncryption encryption, AuditTrail trail, ILogger<KeyRingStore> logger) : IXmlRepository
{
    private const string Purpose = "data_protection";

    private static readonly Sql All = new("select name, wrapped from data_protection_keys order by created_at, name");

    // The ring is read at start and then about once a day; its interface knows no waiting.
    public IReadOnlyCollection<XElement> GetAllElements() =>
        store.All(All.With(), r => Unwrap(r.GetString(0), r.GetFieldValue<byte[]>(1)), CancellationToken.None).GetAwaiter().GetResult().OfType<XElement>().ToList();

    public void StoreElement(XElement element, string friendlyName)
    {
        var wrapped = encryption.Wrap(Encoding.UTF8.GetBytes(element.ToString(SaveOptions.DisableFormatting)), Purpose);
        log.Commit(new AddKey(friendlyName, wrapped, Unwrap, trail.Success(AuditTypes.KeyCreated))).GetAwaiter().GetResult();
    }

    private XElement? Unwrap(string name, byte[] wrapped)
    {
        try
        {
            return XElement.Parse(Encoding.UTF8.GetString(encryption.Unwrap(wrapped, Purpose)));
        }
        catch (Exception e) when (e is CryptographicException or XmlException)
        {
            Log.NotRead(logger, name);
            return null;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The key {Name} of the data protection ring cannot be read; what it sealed is void.")]
        public static partial void NotRead(ILogger logger, string name);
    }

    /// <summary>
    /// Nodes that start at once on an empty ring each make a key. The first stands; the others read the ring again after adding, find it,
    /// and use it, so that none is left with a key that the others learn of tomorrow.
    /// </summary>
    private sealed class AddKey(string name, byte[] wrapped, Func<string, byte[], XElement?> unwrap, AuditEvent e) : Unit<bool>
    {
        private const long Together = 60_000;

        private static readonly Sql
            Recent = new("select name, wrapped from data_protection_keys where created_at > @since"),
            Insert = new("insert into data_protection_keys (name, wrapped, created_at) values (@name, @wrapped, @created)");

        public override StateLock Lock => StateLock.Exclusive;

        public override bool Apply(WriteTx tx)
        {
            if (tx.All(Recent.With(e.Time - Together), r => unwrap(r.GetString(0), r.GetFieldValue<byte[]>(1))).Exists(key => key is not null))
                return false;
            tx.Run(Insert.With(name, wrapped, e.Time));
            tx.Append(e with { Data = new() { ["kind"] = Purpose, ["name"] = name } });
            return true;
        }
    }
}
