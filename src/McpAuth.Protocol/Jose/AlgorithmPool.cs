using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace McpAuth.Protocol.Jose;

/// <summary>
/// Instances of one key for use by one thread at a time: the platform does not promise that <see cref="ECDsa"/> and
/// <see cref="RSA"/> may be shared. At most one idle instance per processor is kept.
/// </summary>
internal sealed class AlgorithmPool(Func<AsymmetricAlgorithm> create)
{
    private readonly ConcurrentQueue<AsymmetricAlgorithm> idle = new();
    private AsymmetricAlgorithm? first;
    private volatile bool released;

    public AsymmetricAlgorithm Rent()
    {
        ObjectDisposedException.ThrowIf(released, this);
        return Interlocked.Exchange(ref first, null) ?? (idle.TryDequeue(out var algorithm) ? algorithm : create());
    }

    public void Return(AsymmetricAlgorithm algorithm)
    {
        if (!released && Interlocked.CompareExchange(ref first, algorithm, null) is null)
            return;
        if (released || idle.Count >= Environment.ProcessorCount)
            algorithm.Dispose();
        else
            idle.Enqueue(algorithm);
    }

    /// <summary>Gives up the idle instances; those in use follow when they are returned.</summary>
    public void Release()
    {
        released = true;
        Interlocked.Exchange(ref first, null)?.Dispose();
        while (idle.TryDequeue(out var algorithm))
            algorithm.Dispose();
    }
}
